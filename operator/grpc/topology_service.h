#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "operator/topology/hub.h"

namespace grapevine::grpc_service {

struct TopologyServerOptions {
  std::string listen = "127.0.0.1:0";  // host:port; port 0 takes a free one
};

// Serves the hub over gRPC: one bidirectional stream per worker. Thousands of streams share the
// library's few threads; a worker that does not read is cut off once kMaxQueued messages wait for
// it. Thread-safe.
class TopologyServer {
 public:
  static constexpr size_t kMaxQueued = 256;

  // Unavailable when the port is taken. `hub` must outlive the server.
  static absl::StatusOr<std::unique_ptr<TopologyServer>> Start(
      topology::Hub& hub, const TopologyServerOptions& options);
  // Closes every stream and waits for the calls under way.
  ~TopologyServer();

  int port() const;

 private:
  class Running;
  explicit TopologyServer(std::unique_ptr<Running> running);
  std::unique_ptr<Running> running_;
};

}  // namespace grapevine::grpc_service
