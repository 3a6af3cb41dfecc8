#include "operator/training_job/apply.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <span>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "fmt/format.h"
#include "operator/api/labels.h"
#include "operator/base/mutex.h"
#include "operator/training_job/worker_pod.h"

namespace grapevine::training_job {
namespace {

using nlohmann::json;

struct Outcome {
  absl::Status status;
  // FailedPrecondition then says by a stranger's pod, Aborted by one that is being deleted; of
  // other outcomes the same codes say other things, as that a server's certificate is not trusted.
  bool name_taken = false;
};

Outcome CreatePod(controller::ApiClient& client, const api::TrainingJob& job,
                  const PodToCreate& pod, const WorkerLaunch& launch) {
  const absl::Status status = client.Create(kPods, MakeWorkerPod(job, pod, launch)).status();
  // A conflict of the server's own, as two pods have over one quota: the name is free.
  if (absl::IsAborted(status)) return {absl::UnavailableError(status.message())};
  if (!absl::IsAlreadyExists(status)) return {status};
  // Ours, made before a restart or seen by nobody yet; or a stranger's.
  const std::string name = PodName(job.metadata.name, pod);
  auto found = client.Get(kPods, job.metadata.name_space, name);
  if (!found.ok()) return {absl::IsNotFound(found.status()) ? status : found.status()};
  if (controller::ControllerUidOf(*found) == job.metadata.uid) return {};
  if (!api::MetadataOf(*found).deletion_timestamp.empty()) {
    // An earlier job's of this name, as a rule.
    return {absl::AbortedError(fmt::format("another pod {} is still being deleted", name)), true};
  }
  return {absl::FailedPreconditionError(fmt::format("pod {} is not this job's", name)), true};
}

// The pods of one CreatePods, taken by its threads: first in batches of 1, 2, 4 ... of which each
// is tried whole once the one before has been served, then as a window that slides.
class Creation {
 public:
  explicit Creation(size_t count) : outcomes_(count) {}

  // The next pod to make; nullopt when there is none left or one has failed.
  std::optional<size_t> Take() {
    MutexLock lock(mutex_);
    while (MayTake() && BeginsBatch() && under_way_ > 0) changed_.Wait(mutex_);
    if (!MayTake()) return std::nullopt;
    ++under_way_;
    return next_++;
  }

  void Note(size_t pod, const Outcome& outcome) {
    {
      MutexLock lock(mutex_);
      outcomes_[pod] = outcome;
      failed_ |= !outcome.status.ok() && !outcome.name_taken;
      --under_way_;
    }
    changed_.NotifyAll();
  }

  // Of those that were tried, once nobody takes any more.
  std::span<const Outcome> outcomes() {
    MutexLock lock(mutex_);
    return std::span(outcomes_).first(next_);
  }

 private:
  static constexpr size_t kInBatches = kMostAtOnce - 1;  // 1 + 2 + 4 + 8

  bool MayTake() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const bool within_batch = next_ < kInBatches && !BeginsBatch();
    return next_ < outcomes_.size() && (!failed_ || within_batch);
  }
  bool BeginsBatch() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return next_ <= kInBatches && std::has_single_bit(next_ + 1);
  }

  Mutex mutex_;
  CondVar changed_;
  std::vector<Outcome> outcomes_ ABSL_GUARDED_BY(mutex_);
  size_t next_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t under_way_ ABSL_GUARDED_BY(mutex_) = 0;
  bool failed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

const controller::Resource kTrainingJobs = {api::kGroup, api::kVersion, api::kTrainingJobPlural};
const controller::Resource kCommunicationGraphs = {api::kGroup, api::kVersion,
                                                   api::kCommunicationGraphPlural};
const controller::Resource kPods = {"", "v1", "pods"};
const controller::Resource kNodes = {"", "v1", "nodes", /*cluster_wide=*/true};

CreatedPods CreatePods(controller::ApiClient& client, const api::TrainingJob& job,
                       const std::vector<PodToCreate>& pods, const WorkerLaunch& launch) {
  Creation creation(pods.size());
  const auto work = [&] {
    while (const auto pod = creation.Take()) {
      creation.Note(*pod, CreatePod(client, job, pods[*pod], launch));
    }
  };
  std::vector<std::jthread> threads;
  for (size_t i = 1; i < std::min(pods.size(), kMostAtOnce); ++i) threads.emplace_back(work);
  work();
  threads.clear();
  CreatedPods created;
  absl::Status waits;
  const std::span<const Outcome> outcomes = creation.outcomes();
  for (size_t i = 0; i < outcomes.size(); ++i) {
    const auto& [status, name_taken] = outcomes[i];
    if (status.ok()) {
      created.made.push_back(pods[i]);
    } else if (name_taken && absl::IsFailedPrecondition(status)) {
      created.strangers.push_back(pods[i]);
    } else {
      (name_taken ? waits : created.status).Update(status);
    }
  }
  created.status.Update(waits);
  return created;
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
