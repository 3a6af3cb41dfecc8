#include "operator/base/metrics_exposer.h"

#include <netdb.h>
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

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

// Where a server at `address`, host:port, is reached; its port may have been chosen later.
Addresses Resolve(const std::string& address, int port) {
  std::string host = address.substr(0, address.rfind(':'));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  return {found, &freeaddrinfo};
}

// Connects and hangs up.
void Knock(const Addresses& addresses) {
  for (const addrinfo* each = addresses.get(); each != nullptr; each = each->ai_next) {
    const int fd = socket(each->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) continue;
    (void)connect(fd, each->ai_addr, each->ai_addrlen);
    close(fd);
  }
}

}  // namespace

class MetricsExposer::Server {
 public:
  Server(const std::string& address,
         std::vector<std::shared_ptr<prometheus::Collectable>> collectables)
      : address_(address),
        collectables_(std::move(collectables)),
        exposer_(address, /*num_threads=*/1) {
    for (const auto& collectable : collectables_) exposer_.RegisterCollectable(collectable);
  }

  // The library's server looks only every two seconds whether it is to stop, or when someone
  // connects.
  ~Server() {
    for (const auto& collectable : collectables_) exposer_.RemoveCollectable(collectable);
    waker_ = std::jthread([addresses = Resolve(address_, port())](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        Knock(addresses);
      }
    });
  }

  int port() const { return exposer_.GetListeningPorts().at(0); }

 private:
  const std::string address_;
  // The exposer holds these by weak reference.
  const std::vector<std::shared_ptr<prometheus::Collectable>> collectables_;
  std::jthread waker_;  // outlives the exposer
  prometheus::Exposer exposer_;
};

absl::StatusOr<std::unique_ptr<MetricsExposer>> MetricsExposer::Serve(
    const std::string& address,
    std::vector<std::shared_ptr<prometheus::Collectable>> collectables) {
  // The library would take a port alone, and then any address of this machine.
  if (address.find(':') == std::string::npos) {
    return absl::InvalidArgumentError(fmt::format("metrics at {}: allowed is host:port", address));
  }
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
