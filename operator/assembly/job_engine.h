#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "operator/base/clock.h"
#include "operator/base/supervisor.h"
#include "operator/controller/api_client.h"
#include "operator/controller/controller.h"
#include "operator/controller/informer.h"
#include "operator/controller/probe.h"
#include "operator/grpc/topology_service.h"
#include "operator/metrics/operator_metrics.h"
#include "operator/topology/hub.h"
#include "operator/training_job/training_job_reconciler.h"

namespace grapevine::assembly {

struct JobEngineOptions {
  std::set<std::string> name_spaces;            // whose jobs; empty: all
  std::string topology_listen = "127.0.0.1:0";  // host:port of the workers' streams; 0: a free one
  // host:port by which pods reach it; empty: where it listens.
  std::string topology_address;
  std::string worker_image;       // see WorkerLaunch
  bool pod_network = false;       // the same
  bool watch_nodes = false;       // pods are on nodes that may be lost
  bool companions = false;        // see ReconcilerParts
  int threads = 1;                // that reconcile
  Duration sync_limit = 10s;      // for the first lists
  std::function<bool()> give_up;  // asked now and then meanwhile; empty: never
  // See ReconcilerParts; may be empty.
  std::function<void(const controller::Request&, const training_job::JobEvent&)> on_event;
};

// Whatever runs the TrainingJobs of one API server: the hub and its port, the caches, the
// reconciler and its queue. `grapevine run` and `grapevine operator` differ in the client that they
// give it and in what they add around it. Thread-safe; its parts belong to a Supervisor.
class JobEngine {
 public:
  // All three must outlive it.
  JobEngine(controller::ApiClient* client, const Clock* clock, controller::Probe* probe,
            JobEngineOptions options);

  // In the order of their start, the reason on each.
  std::vector<Part> Parts();

  // From outside; the caches enqueue what changes by themselves.
  void Enqueue(const controller::Request& job);

  // What pods are told. REQUIRES: it listens.
  std::string topology_address() const;

  // As last seen; null for none.
  controller::Object Find(const controller::Request& job) const { return jobs_.store().Get(job); }
  topology::JobStats Stats(const controller::Request& job) const;
  // Of each job in the cache, for metrics.
  std::vector<metrics::JobSample> Sample() const;

 private:
  absl::Status Listen();
  absl::Status StartCaches();
  void EnqueueJobOf(const nlohmann::json& pod);
  void OnNode(const controller::ObjectChange& change);
  bool WaitForSync(controller::Informer& cache, Time deadline) const;
  void StartController();
  void StopController();
  void Tick(const std::stop_token& stop);

  controller::ApiClient* const client_;
  const Clock* const clock_;
  controller::Probe* const probe_;
  const JobEngineOptions options_;
  topology::Hub hub_;
  controller::Informer jobs_;
  controller::Informer pods_;
  controller::Informer graphs_;
  controller::Informer nodes_;
  std::unique_ptr<grpc_service::TopologyServer> topology_;
  std::unique_ptr<training_job::TrainingJobReconciler> reconciler_;
  std::unique_ptr<controller::Controller> controller_;
  std::atomic<controller::Controller*> queue_ = nullptr;  // while it takes names
  std::jthread ticker_;
};

}  // namespace grapevine::assembly
