#include "operator/training_job/job_status.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "fmt/format.h"
#include "operator/api/labels.h"
#include "operator/base/text.h"
#include "operator/training_job/hindrances.h"
#include "operator/training_job/learning.h"

namespace grapevine::training_job {
namespace {

class Conditions {
 public:
  Conditions(const Observed& observed, Decision& decision)
      : observed_(observed), decision_(decision) {}

  void Set(const char* type, bool on, const std::string& reason, const std::string& message) {
    auto& conditions = decision_.status.conditions;
    const bool was = api::IsTrue(conditions, type);
    api::SetCondition(conditions,
                      {.type = type,
                       .status = on ? "True" : "False",
                       .reason = reason,
                       .message = message,
                       .observed_generation = observed_.job.metadata.generation},
                      observed_.wall);
    if (!on || was) return;
    const std::string_view name = type;
    const bool warning = name == api::kFailed || name == api::kDegraded;
    decision_.events.push_back({warning, type, message.empty() ? reason : message});
  }

 private:
  const Observed& observed_;
  Decision& decision_;
};

constexpr char kSuspendedReason[] = "Suspended";
constexpr char kResumingReason[] = "Resuming";

// By its status before: it was suspended, and it has not run since. The times of transitions do not
// tell, since they are whole seconds.
bool IsResuming(const std::vector<api::Condition>& conditions) {
  const api::Condition* running = api::FindCondition(conditions, api::kRunning);
  return running != nullptr && running->status != "True" &&
         (running->reason == kSuspendedReason || running->reason == kResumingReason);
}

void FillConditions(const Observed& observed, const Standing& standing, Decision& decision) {
  const auto members = static_cast<int32_t>(standing.members);
  const int32_t wanted = observed.job.spec.workers.min_replicas;
  const bool over = standing.ending.has_value();
  const bool enough = members >= wanted;
  const bool initialized =
      !observed.pods.empty() || api::IsTrue(observed.job.status.conditions, api::kInitialized);
  const std::string hindrances = DescribeHindrances(observed);
  const std::string count = fmt::format("{}, {} needed{}{}", Counted(members, "member"), wanted,
                                        hindrances.empty() ? "" : "; ", hindrances);
  const bool succeeded = over && standing.ending->succeeded;
  const std::optional<std::string> doubt = JudgeLearning(observed);
  const std::string doubtful = doubt ? "; " + *doubt : "";
  const std::string reason = !over                ? "NotOver"
                             : succeeded && doubt ? api::kNotLearning
                                                  : standing.ending->reason;
  const std::string message = over ? standing.ending->message + doubtful : "";
  // In this order: whoever lists jobs shows the first one that holds.
  Conditions conditions(observed, decision);
  conditions.Set(api::kFailed, over && !succeeded, reason, succeeded ? "" : message);
  conditions.Set(api::kSucceeded, succeeded, reason, succeeded ? message : "");
  conditions.Set(api::kSuspended, standing.suspended,
                 standing.suspended ? kSuspendedReason : "Wanted", "");
  // A job that has never had its members is not degraded but starting, as one is that was resumed.
  const bool resuming = IsResuming(observed.job.status.conditions);
  const bool started = observed.hub.training_since.has_value() && !resuming;
  const bool degraded =
      !over && !standing.suspended && started && !enough && !observed.hub.finish_since;
  conditions.Set(api::kDegraded, degraded, degraded ? "TooFewMembers" : "EnoughMembers",
                 degraded ? count : "");
  const bool running = !over && !standing.suspended && members > 0 &&
                       (enough || observed.hub.finish_since.has_value());
  conditions.Set(api::kRunning, running,
                 running && doubt     ? api::kNotLearning
                 : running            ? "Training"
                 : over               ? "Ended"
                 : standing.suspended ? kSuspendedReason
                 : resuming           ? kResumingReason
                                      : "TooFewMembers",
                 over      ? ""
                 : running ? count + doubtful
                           : count);
  conditions.Set(api::kInitialized, initialized, initialized ? "PodsMade" : "Waiting", "");
  const api::Condition* was = api::FindCondition(observed.job.status.conditions, api::kRunning);
  const bool told = was != nullptr && was->reason == api::kNotLearning;
  if (doubt && (running || over) && !told) {
    decision.events.push_back({true, api::kNotLearning, *doubt});
  }
}

int32_t ActivePods(const Observed& observed) {
  return static_cast<int32_t>(
      std::ranges::count_if(observed.pods, [](const WorkerPod& pod) { return pod.active(); }));
}

// What no decimal string can say stays unsaid.
std::optional<double> Finite(double value) {
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

void FillProgress(const topology::Snapshot& hub, bool returning, api::ProgressStatus& progress) {
  if (!hub.known || hub.samples_total == 0) return;  // a hub that knows nothing yet says nothing
  // What a new leader does not know yet, members will tell when they come back.
  if (returning && hub.samples < progress.samples) return;
  progress.samples = hub.samples;
  progress.data_epoch = hub.data_epochs_done;
  progress.percent = static_cast<int32_t>(std::floor(100 * hub.fraction));
  progress.samples_per_second = std::round(hub.samples_per_second);
  progress.remaining_seconds = 0;
  if (hub.samples_per_second > 0) {
    progress.remaining_seconds = static_cast<int64_t>(
        static_cast<double>(hub.samples_total - hub.samples) / hub.samples_per_second);
  }
}

}  // namespace

void CountPods(const Observed& observed, api::WorkersStatus& workers) {
  workers.active = ActivePods(observed);
  workers.members = std::min(workers.members, workers.active);
}

bool IsOver(const api::TrainingJobStatus& status) {
  return api::IsTrue(status.conditions, api::kSucceeded) ||
         api::IsTrue(status.conditions, api::kFailed);
}

void FillStatus(const Observed& observed, const Standing& standing, Decision& decision) {
  api::TrainingJobStatus& status = decision.status;
  const api::TrainingJobSpec& spec = observed.job.spec;
  status.observed_generation = observed.job.metadata.generation;
  if (standing.suspended) {
    status.start_time.clear();
  } else if (status.start_time.empty()) {
    status.start_time = api::FormatWallTime(observed.wall);
  }
  if (standing.ending) status.completion_time = api::FormatWallTime(observed.wall);
  status.workers.desired = spec.suspend ? 0 : spec.workers.replicas;
  status.workers.active = ActivePods(observed);
  status.workers.members = static_cast<int32_t>(standing.members);
  status.workers.disrupted = standing.failures.disrupted;
  status.workers.restarts = standing.failures.restarts;
  status.workers.selector = fmt::format("{}={}", api::kJobNameLabel, observed.job.metadata.name);
  status.graph.epoch = standing.epoch;
  status.graph.members = static_cast<int32_t>(standing.members);
  status.graph.edges = static_cast<int32_t>(standing.edges);
  FillProgress(observed.hub, standing.returning, status.progress);
  if (const auto& result = observed.hub.final_result; result && result->error.empty()) {
    status.result = api::ResultStatus{.loss = Finite(result->loss),
                                      .accuracy = Finite(result->accuracy),
                                      .samples = result->samples,
                                      .checkpoint = result->checkpoint};
  }
  const int32_t restarts = standing.failures.restarts - observed.job.status.workers.restarts;
  if (restarts > 0) {
    decision.events.push_back(
        {true, "WorkerFailed",
         fmt::format(
             "{} failed, {} so far{}{}", Counted(restarts, "pod"), standing.failures.restarts,
             standing.failures.last.empty() ? "" : "; the last: ", standing.failures.last)});
  }
  FillConditions(observed, standing, decision);
}

JobEvent FailAsInvalid(std::string violations, int64_t generation, api::WallTime now,
                       api::TrainingJobStatus& status) {
  status.observed_generation = generation;
  if (violations.size() > kMaxMessage) {
    violations.resize(kMaxMessage);
    violations.resize(violations.rfind('\n') == std::string::npos ? kMaxMessage
                                                                  : violations.rfind('\n'));
    violations += "\n...";
  }
  for (const char* type :
       {api::kFailed, api::kSucceeded, api::kSuspended, api::kDegraded, api::kRunning}) {
    const bool failed = std::string_view(type) == api::kFailed;
    api::SetCondition(status.conditions,
                      {.type = type,
                       .status = failed ? "True" : "False",
                       .reason = "InvalidSpec",
                       .message = failed ? violations : "",
                       .observed_generation = generation},
                      now);
  }
  if (api::FindCondition(status.conditions, api::kInitialized) == nullptr) {
    api::SetCondition(status.conditions,
                      {.type = api::kInitialized,
                       .status = "False",
                       .reason = "InvalidSpec",
                       .observed_generation = generation},
                      now);
  }
  status.completion_time = api::FormatWallTime(now);
  status.workers.active = status.workers.members = 0;  // its pods are deleted
  return {.warning = true, .reason = "InvalidSpec", .note = std::move(violations)};
}

}  // namespace grapevine::training_job
