#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "operator/controller/probe.h"
#include "operator/topology/job_stats.h"

namespace grapevine::metrics {

// One job at the moment of a scrape.
struct JobSample {
  std::string name_space;
  std::string name;
  int desired_workers = 0;
  double spectral_gap = 0;
  topology::JobStats stats;
};

struct OperatorMetricsOptions {
  std::string address = "127.0.0.1:0";  // host:port; port 0 takes a free one
  std::string controller = "trainingjob";
  int threads = 1;                               // of the controller
  std::function<std::vector<JobSample>()> jobs;  // called on a thread of the server
};

// Serves the operator's metrics at http://<address>/metrics: the controller's under the names that
// stock dashboards know, and the jobs' (labels namespace and name), which are read at each scrape
// and so are gone with their job. Thread-safe.
class OperatorMetrics final : public controller::Probe {
 public:
  // Unavailable when the port is taken.
  static absl::StatusOr<std::unique_ptr<OperatorMetrics>> Serve(
      const OperatorMetricsOptions& options);
  ~OperatorMetrics() override;

  int port() const;

  void OnAdded(size_t waiting) override;
  void OnReconcileStarted(Duration waited, size_t waiting) override;
  void OnReconciled(Outcome outcome, Duration took) override;

 private:
  class Server;
  explicit OperatorMetrics(std::unique_ptr<Server> server);

  std::unique_ptr<Server> server_;
};

}  // namespace grapevine::metrics
