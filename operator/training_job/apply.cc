#include "operator/training_job/apply.h"

#include <algorithm>
#include <span>
#include <thread>

#include "fmt/format.h"
#include "operator/api/labels.h"
#include "operator/training_job/worker_pod.h"

namespace grapevine::training_job {
namespace {

using nlohmann::json;

absl::Status CreatePod(controller::ApiClient& client, const api::TrainingJob& job,
                       const PodToCreate& pod, const WorkerLaunch& launch) {
  const absl::Status status = client.Create(kPods, MakeWorkerPod(job, pod, launch)).status();
  if (!absl::IsAlreadyExists(status)) return status;
  // Ours, made before a restart or seen by nobody yet; or a stranger's.
  const std::string name = PodName(job.metadata.name, pod);
  auto found = client.Get(kPods, job.metadata.name_space, name);
  if (!found.ok()) return absl::IsNotFound(found.status()) ? status : found.status();
  if (controller::ControllerUidOf(*found) == job.metadata.uid) return absl::OkStatus();
  return absl::FailedPreconditionError(fmt::format("pod {} is not this job's", name));
}

// The first failure of the batch.
absl::Status CreateBatch(controller::ApiClient& client, const api::TrainingJob& job,
                         std::span<const PodToCreate> batch, const WorkerLaunch& launch,
                         const std::function<void(const PodToCreate&)>& on_created) {
  std::vector<absl::Status> results(batch.size());
  std::vector<std::jthread> threads;
  for (size_t i = 1; i < batch.size(); ++i) {
    threads.emplace_back([&, i] { results[i] = CreatePod(client, job, batch[i], launch); });
  }
  results[0] = CreatePod(client, job, batch[0], launch);
  threads.clear();
  absl::Status first;
  for (size_t i = 0; i < batch.size(); ++i) {
    if (results[i].ok()) {
      on_created(batch[i]);
    } else {
      first.Update(results[i]);
    }
  }
  return first;
}

}  // namespace

const controller::Resource kTrainingJobs = {api::kGroup, api::kVersion, api::kTrainingJobPlural};
const controller::Resource kCommunicationGraphs = {api::kGroup, api::kVersion,
                                                   api::kCommunicationGraphPlural};
const controller::Resource kPods = {"", "v1", "pods"};
const controller::Resource kNodes = {"", "v1", "nodes", /*cluster_wide=*/true};

absl::Status CreatePods(controller::ApiClient& client, const api::TrainingJob& job,
                        const std::vector<PodToCreate>& pods, const WorkerLaunch& launch,
                        const std::function<void(const PodToCreate&)>& on_created) {
  std::span<const PodToCreate> left = pods;
  for (size_t batch = 1; !left.empty(); batch = std::min(2 * batch, kMostAtOnce)) {
    const size_t count = std::min(batch, left.size());
    absl::Status status = CreateBatch(client, job, left.first(count), launch, on_created);
    if (!status.ok()) return status;
    left = left.subspan(count);
  }
  return absl::OkStatus();
}

absl::Status DeletePod(controller::ApiClient& client, const std::string& name_space,
                       const PodToDelete& pod) {
  controller::DeleteOptions options{.uid = pod.uid};
  if (pod.at_once) options.grace_period_seconds = 0;
  const absl::Status status = client.Delete(kPods, name_space, pod.name, options);
  // Aborted: the uid is another's; the one that was meant is gone.
  return absl::IsNotFound(status) || absl::IsAborted(status) ? absl::OkStatus() : status;
}

absl::Status WriteStatus(controller::ApiClient& client, const controller::Object& job,
                         const api::TrainingJobStatus& status) {
  json object = *job;
  object["status"] = api::ToJson(status);
  return client.UpdateStatus(kTrainingJobs, object).status();
}

absl::Status WriteGraph(controller::ApiClient& client, const api::TrainingJob& job,
                        api::CommunicationGraph graph, const controller::Object& seen) {
  graph.metadata.name = job.metadata.name;
  graph.metadata.name_space = job.metadata.name_space;
  json object;
  if (seen) {
    object = *seen;
  } else {
    object = api::ToJson(graph);
    object["metadata"]["ownerReferences"] = json::array({OwnerReference(job)});
    auto created = client.Create(kCommunicationGraphs, object);
    if (absl::IsAlreadyExists(created.status())) {
      created = client.Get(kCommunicationGraphs, job.metadata.name_space, job.metadata.name);
    }
    if (!created.ok()) return created.status();
    object = *std::move(created);
    if (controller::ControllerUidOf(object) != job.metadata.uid) {
      return absl::AbortedError("the CommunicationGraph is still an earlier job's of this name");
    }
  }
  object["status"] = api::ToJson(graph)["status"];
  absl::Status status = client.UpdateStatus(kCommunicationGraphs, object).status();
  if (!absl::IsAborted(status)) return status;
  // The cache is behind our own last write; nobody else writes this object.
  auto now = client.Get(kCommunicationGraphs, job.metadata.name_space, job.metadata.name);
  if (!now.ok()) return now.status();
  (*now)["status"] = object["status"];
  return client.UpdateStatus(kCommunicationGraphs, *now).status();
}

}  // namespace grapevine::training_job
