#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "operator/base/clock.h"
#include "operator/base/mutex.h"
#include "operator/controller/api_client.h"
#include "operator/controller/object_store.h"
#include "operator/controller/reconciler.h"
#include "operator/topology/hub.h"
#include "operator/training_job/decide.h"
#include "operator/training_job/worker_pod.h"

namespace grapevine::training_job {

struct ReconcilerParts {
  controller::ApiClient* client = nullptr;
  const controller::ObjectStore* jobs =
      nullptr;  // caches of TrainingJobs, pods and CommunicationGraphs
  const controller::ObjectStore* pods = nullptr;
  const controller::ObjectStore* graphs = nullptr;
  // The cache of nodes; null while it is not known which there are. Empty where there are none.
  std::function<const controller::ObjectStore*()> nodes;
  topology::Hub* hub = nullptr;
  bool companions = false;  // jobs have a disruption budget and a Service beside their pods
  const Clock* clock = nullptr;
  std::function<api::WallTime()> wall;
  // Told after the status was written; may be empty.
  std::function<void(const controller::Request&, const JobEvent&)> on_event;
};

// observe -> decide -> apply for TrainingJobs. Borrows its parts, which must outlive it.
// Thread-safe; one name is never reconciled twice at once, which the controller sees to.
class TrainingJobReconciler final : public controller::Reconciler {
 public:
  TrainingJobReconciler(const ReconcilerParts& parts, const WorkerLaunch& launch);
  ~TrainingJobReconciler() override;

  absl::StatusOr<controller::Result> Reconcile(const controller::Request& request) override;

 private:
  // What this process did and the cache may not show yet.
  struct OwnWrites;

  absl::StatusOr<controller::Result> Refuse(const controller::Request& request,
                                            const controller::Object& object,
                                            const absl::Status& why);
  std::shared_ptr<OwnWrites> OwnWritesOf(const controller::Request& request,
                                         const std::string& uid);
  void JudgeNodesOf(std::vector<WorkerPod>& pods);
  // Those in `pods` and those of the cache, with what the cache does not show yet.
  void ReadPods(const api::TrainingJob& job, OwnWrites& own, std::vector<WorkerPod>& pods);
  controller::Object GraphOf(const controller::Request& request, const api::TrainingJob& job) const;
  // What an earlier leader left, and sets apart what this one may give out; from the server itself,
  // since no cache may be behind here.
  absl::StatusOr<topology::JobRecord> TakeOver(const controller::Request& request,
                                               const Observed& observed, OwnWrites& own);
  absl::StatusOr<Observed> Observe(const controller::Request& request, api::TrainingJob job,
                                   OwnWrites& own);
  absl::StatusOr<controller::Result> Carry(const controller::Request& request,
                                           const controller::Object& object,
                                           const Observed& observed, Decision& decision,
                                           OwnWrites& own);
  void PublishGraph(const controller::Request& request, const Observed& observed,
                    Decision& decision, OwnWrites& own);
  absl::Status ChangePods(const Observed& observed, Decision& decision, OwnWrites& own);
  absl::Status MakeCompanionsIfNew(const Observed& observed, Decision& decision, OwnWrites& own);
  absl::Status WriteGraphIfNew(const controller::Request& request, const Observed& observed,
                               Decision& decision, OwnWrites& own);
  absl::Status WriteStatusIfNew(const controller::Object& object, const Observed& observed,
                                const Decision& decision, OwnWrites& own);

  const ReconcilerParts parts_;
  const WorkerLaunch launch_;
  Mutex mutex_;
  std::map<controller::Request, std::shared_ptr<OwnWrites>> own_writes_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace grapevine::training_job
