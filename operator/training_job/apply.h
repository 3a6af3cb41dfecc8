#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "operator/api/communication_graph.h"
#include "operator/controller/api_client.h"
#include "operator/controller/object_store.h"
#include "operator/training_job/decide.h"
#include "operator/training_job/worker_pod.h"

namespace grapevine::training_job {

extern const controller::Resource kTrainingJobs;
extern const controller::Resource kCommunicationGraphs;
extern const controller::Resource kPods;
extern const controller::Resource kNodes;

// What CreatePods has done. It makes the pods in parallel: in batches of 1, 2, 4 and 8, so that a
// server that refuses them is asked few times, the rest kMostAtOnce at once. After a failure no
// batch and none of the rest begins. A name that is taken stops no other.
struct CreatedPods {
  std::vector<PodToCreate> made;  // there now: one that existed already and is the job's counts
  std::vector<PodToCreate> strangers;  // someone else's pod has the name
  absl::Status status;  // the first failure; Aborted where a name is a pod's that is being deleted
};
CreatedPods CreatePods(controller::ApiClient& client, const api::TrainingJob& job,
                       const std::vector<PodToCreate>& pods, const WorkerLaunch& launch);

inline constexpr size_t kMostAtOnce = 16;

// One that is gone already, or is another by now, counts as deleted.
absl::Status DeletePod(controller::ApiClient& client, const std::string& name_space,
                       const PodToDelete& pod);

// Writes the status into the job as last seen. Aborted when that was not the newest.
absl::Status WriteStatus(controller::ApiClient& client, const controller::Object& job,
                         const api::TrainingJobStatus& status);

// Makes the job's CommunicationGraph, or updates its status; `seen` is the cached one, or null.
absl::Status WriteGraph(controller::ApiClient& client, const api::TrainingJob& job,
                        api::CommunicationGraph graph, const controller::Object& seen);

}  // namespace grapevine::training_job
