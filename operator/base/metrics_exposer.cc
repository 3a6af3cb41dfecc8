#include "operator/base/metrics_exposer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <exception>
#include <thread>
#include <utility>

#include "fmt/format.h"
#include "prometheus/exposer.h"

namespace grapevine {
namespace {

// Connects to this machine's port and hangs up.
void Knock(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  (void)connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  close(fd);
}

}  // namespace

class MetricsExposer::Server {
 public:
  Server(const std::string& address,
         std::vector<std::shared_ptr<prometheus::Collectable>> collectables)
      : collectables_(std::move(collectables)), exposer_(address, /*num_threads=*/1) {
    for (const auto& collectable : collectables_) exposer_.RegisterCollectable(collectable);
  }

  // The library's server looks only every two seconds whether it is to stop, or when someone
  // connects.
  ~Server() {
    for (const auto& collectable : collectables_) exposer_.RemoveCollectable(collectable);
    waker_ = std::jthread([port = port()](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        Knock(port);
      }
    });
  }

  int port() const { return exposer_.GetListeningPorts().at(0); }

 private:
  // The exposer holds these by weak reference.
  const std::vector<std::shared_ptr<prometheus::Collectable>> collectables_;
  std::jthread waker_;  // outlives the exposer
  prometheus::Exposer exposer_;
};

absl::StatusOr<std::unique_ptr<MetricsExposer>> MetricsExposer::Serve(
    const std::string& address,
    std::vector<std::shared_ptr<prometheus::Collectable>> collectables) {
  // The library throws when it cannot listen.
  try {
    return std::unique_ptr<MetricsExposer>(
        new MetricsExposer(std::make_unique<Server>(address, std::move(collectables))));
  } catch (const std::exception& error) {
    return absl::UnavailableError(
        fmt::format("metrics at {} cannot be served: {}", address, error.what()));
  }
}

MetricsExposer::MetricsExposer(std::unique_ptr<Server> server) : server_(std::move(server)) {}
MetricsExposer::~MetricsExposer() = default;

int MetricsExposer::port() const { return server_->port(); }

}  // namespace grapevine
