#include "operator/health/health_server.h"

#include <utility>

#include "civetweb.h"
#include "fmt/format.h"

namespace grapevine::health {
namespace {

using Check = std::function<absl::Status()>;

int Answer(mg_connection* connection, void* check) {
  const absl::Status status = (*static_cast<const Check*>(check))();
  const std::string body = status.ok() ? "ok" : std::string(status.message());
  mg_printf(connection,
            "HTTP/1.1 %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\n"
            "Cache-Control: no-store\r\nConnection: close\r\n\r\n%s",
            status.ok() ? "200 OK" : "500 Internal Server Error", body.size(), body.c_str());
  return status.ok() ? 200 : 500;
}

}  // namespace

class HealthServer::Running {
 public:
  explicit Running(HealthServerOptions options) : options_(std::move(options)) {}
  ~Running() {
    if (context_ != nullptr) mg_stop(context_);
  }

  absl::Status Start() {
    mg_init_library(0);
    const char* settings[] = {"listening_ports",
                              options_.address.c_str(),
                              "num_threads",
                              "2",
                              "request_timeout_ms",
                              "5000",
                              nullptr};
    const mg_callbacks callbacks{};
    context_ = mg_start(&callbacks, nullptr, settings);
    mg_server_port ports[1];
    if (context_ == nullptr || mg_get_server_ports(context_, 1, ports) != 1) {
      return absl::UnavailableError(fmt::format("health at {} cannot be served", options_.address));
    }
    port_ = ports[0].port;
    mg_set_request_handler(context_, "/healthz$", &Answer, &options_.live);
    mg_set_request_handler(context_, "/readyz$", &Answer, &options_.ready);
    return absl::OkStatus();
  }

  int port() const { return port_; }

 private:
  HealthServerOptions options_;
  mg_context* context_ = nullptr;
  int port_ = 0;
};

absl::StatusOr<std::unique_ptr<HealthServer>> HealthServer::Serve(HealthServerOptions options) {
  // The library would take a port alone, and then any address of this machine.
  if (options.address.find(':') == std::string::npos) {
    return absl::InvalidArgumentError(
        fmt::format("health at {}: allowed is host:port", options.address));
  }
  auto running = std::make_unique<Running>(std::move(options));
  if (absl::Status status = running->Start(); !status.ok()) return status;
  return std::unique_ptr<HealthServer>(new HealthServer(std::move(running)));
}

HealthServer::HealthServer(std::unique_ptr<Running> running) : running_(std::move(running)) {}
HealthServer::~HealthServer() = default;

int HealthServer::port() const { return running_->port(); }

}  // namespace grapevine::health
