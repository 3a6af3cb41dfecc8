#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "operator/api/training_job.h"
#include "operator/base/metrics_exposer.h"
#include "operator/controller/probe.h"
#include "operator/topology/job_stats.h"

namespace grapevine::metrics {

// One job at the moment of a scrape.
struct JobSample {
  std::string name_space;
  std::string name;
  int desired_workers = 0;
  int min_workers = 0;
  double guessing_loss = 0;  // from which on its model does no better than guess
  api::TrainingJobStatus status;
  topology::JobStats stats;
};

struct OperatorMetricsOptions {
  std::string controller = "trainingjob";
  int threads = 1;                               // of the controller
  const Clock* clock = nullptr;                  // nullptr: the machine's; outlives the metrics
  std::function<std::vector<JobSample>()> jobs;  // called on a thread of the server
};

// The operator's metrics: the controller's under the names that stock dashboards know, and the
// jobs' (labels namespace and name), which are read at each scrape and so are gone with their job.
// A gauge whose value is not known yet is not a number. Thread-safe; Serve, port and StopServing
// belong to one thread.
class OperatorMetrics final : public controller::Probe, public controller::RequestProbe {
 public:
  explicit OperatorMetrics(const OperatorMetricsOptions& options);
  ~OperatorMetrics() override;

  // At http://<address>/metrics until StopServing; host:port, port 0 takes a free one. Unavailable
  // when the port is taken, InvalidArgument for another form.
  absl::Status Serve(const std::string& address);
  void StopServing();

  // leader_election_master_status; 0 from the start.
  void SetLeading(bool leading);

  int port() const;  // REQUIRES: Serve has succeeded

  void OnAdded(size_t waiting) override;
  void OnReconcileStarted(const controller::Request& request, Duration waited,
                          size_t waiting) override;
  void OnReconciled(const controller::Request& request, Outcome outcome, Duration took) override;
  void OnRequest(std::string_view method, std::string_view host, int http_status,
                 Duration took) override;

 private:
  struct Series;

  const std::unique_ptr<Series> series_;
  std::unique_ptr<MetricsExposer> exposer_;
};

}  // namespace grapevine::metrics
