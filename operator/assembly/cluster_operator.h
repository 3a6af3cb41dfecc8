#pragma once

#include <signal.h>

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "operator/assembly/job_engine.h"
#include "operator/base/clock.h"
#include "operator/base/supervisor.h"
#include "operator/controller/api_client.h"
#include "operator/controller/event_recorder.h"
#include "operator/controller/leader_elector.h"
#include "operator/health/health_server.h"
#include "operator/metrics/operator_metrics.h"

namespace grapevine::assembly {

// Who this process is in the cluster, as the downward API says. Empty outside of one.
struct PodIdentity {
  std::string name;        // POD_NAME
  std::string name_space;  // POD_NAMESPACE
  std::string ip;          // POD_IP
};

struct ClusterOperatorOptions {
  std::set<std::string> name_spaces;  // whose jobs; empty: all
  std::string topology_listen;        // host:port, as are all addresses here
  std::string topology_address;  // by which pods reach it; empty: this pod's, or where it listens
  std::string worker_image;      // of pods whose template names none
  std::string metrics_address;
  std::string health_address;
  bool leader_elect = true;
  std::string lease_name_space;
  int threads = 1;  // that reconcile
  PodIdentity pod;
};

// The operator of a cluster. Every replica serves metrics and probes and stands for election; the
// leader alone runs the engine and bears the label by which the topology Service finds it. Lives on
// the thread that calls Run, but for what its parts do on their own.
class ClusterOperator {
 public:
  // `client` and `metrics` must outlive it. REQUIRES: `signals` are blocked in every thread.
  ClusterOperator(controller::ApiClient* client, metrics::OperatorMetrics* metrics,
                  const sigset_t& signals, ClusterOperatorOptions options);

  // Until one of the signals, or until it cannot go on: a part does not start, or the lease is
  // lost, when the process ends here and now. Whoever looks after the process starts it again.
  absl::Status Run();

  std::vector<metrics::JobSample> Sample() const { return engine_.Sample(); }

 private:
  std::vector<Part> OuterParts();
  std::vector<Part> LeaderParts();
  JobEngineOptions EngineOptions();
  absl::Status Lead();
  absl::Status BearLabel();
  absl::Status DropLabel();
  absl::Status Label(const std::string& pod, bool leader);
  absl::Status Ready() const;
  void RecordEvent(const controller::Request& job, const training_job::JobEvent& event);

  controller::ApiClient* const client_;
  metrics::OperatorMetrics* const metrics_;
  const sigset_t signals_;
  const ClusterOperatorOptions options_;
  const std::string identity_;
  RealClock clock_;
  std::atomic<bool> ending_ = false;
  std::atomic<bool> leads_ = false;  // its engine is to run
  std::atomic<bool> runs_ = false;   // its engine runs
  controller::LeaderElector elector_;
  std::unique_ptr<controller::EventRecorder> events_;
  JobEngine engine_;
  std::unique_ptr<health::HealthServer> health_;
};

}  // namespace grapevine::assembly
