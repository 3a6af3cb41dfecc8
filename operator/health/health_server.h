#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace grapevine::health {

struct HealthServerOptions {
  std::string address = "127.0.0.1:0";  // host:port; port 0 takes a free one
  std::function<absl::Status()> live;   // not Ok: the process should be ended from outside
  std::function<absl::Status()> ready;  // not Ok: it should get no traffic yet, or no more
};

// Answers a kubelet's probes: GET /healthz and /readyz, 200 "ok" or 500 and why not. The functions
// are called on a thread of the server and must return at once. Thread-safe.
class HealthServer {
 public:
  // Unavailable when the port is taken, InvalidArgument for another form of address.
  static absl::StatusOr<std::unique_ptr<HealthServer>> Serve(HealthServerOptions options);
  // Takes up to two seconds, the library's own turn.
  ~HealthServer();

  int port() const;

 private:
  class Running;
  explicit HealthServer(std::unique_ptr<Running> running);
  std::unique_ptr<Running> running_;
};

}  // namespace grapevine::health
