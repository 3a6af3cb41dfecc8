#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "operator/api/training_job.h"
#include "operator/assembly/job_engine.h"
#include "operator/base/clock.h"
#include "operator/base/supervisor.h"
#include "operator/console/faults.h"
#include "operator/console/run_session.h"
#include "operator/local/api_server.h"
#include "operator/local/process_kubelet.h"
#include "operator/metrics/operator_metrics.h"

namespace grapevine::assembly {

struct LocalOperatorOptions {
  std::string metrics_address;
  std::string log_folder;  // of the pods
};

// The operator of `grapevine run`: the engine over an API server in memory, and pods that are child
// processes, around one job. Lives on the main thread, but for what the parts do on their own.
class LocalOperator {
 public:
  explicit LocalOperator(const LocalOperatorOptions& options);

  absl::Status Start(const nlohmann::json& job);
  void Stop() { supervisor_->Stop().IgnoreError(); }

  // Nobody is waited for any more.
  void EndAtOnce() { end_grace_ = Duration::zero(); }

  absl::StatusOr<api::TrainingJob> Job();
  topology::JobStats Stats() const { return engine_.Stats(key_); }
  console::Verbs Verbs();
  std::string MetricsUrl() const;

 private:
  std::vector<Part> Parts();
  absl::Status ServeMetrics();
  void WaitForPodsToEnd();
  absl::Status Change(const std::function<void(nlohmann::json&)>& change);
  absl::Status Scale(int replicas);
  std::string StateOf(const std::string& pod);

  const LocalOperatorOptions options_;
  Duration end_grace_ = 3s;  // for workers that were told to stop
  controller::Request key_;
  RealClock clock_;
  local::ApiServer server_;
  metrics::OperatorMetrics metrics_;
  JobEngine engine_;
  std::unique_ptr<local::ProcessKubelet> kubelet_;
  std::unique_ptr<console::Faults> faults_;
  std::unique_ptr<Supervisor> supervisor_;
};

}  // namespace grapevine::assembly
