#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "prometheus/collectable.h"

namespace grapevine {

// Serves what is collected at http://<address>/metrics, on a thread of its own, until it is
// destroyed; that takes milliseconds. Thread-safe.
class MetricsExposer {
 public:
  // `address` is host:port; port 0 takes a free one. Unavailable when it cannot listen,
  // InvalidArgument for another form; both name the address.
  static absl::StatusOr<std::unique_ptr<MetricsExposer>> Serve(
      const std::string& address,
      std::vector<std::shared_ptr<prometheus::Collectable>> collectables);
  ~MetricsExposer();
  MetricsExposer(const MetricsExposer&) = delete;
  MetricsExposer& operator=(const MetricsExposer&) = delete;

  int port() const;

 private:
  class Server;
  explicit MetricsExposer(std::unique_ptr<Server> server);

  std::unique_ptr<Server> server_;
};

}  // namespace grapevine
