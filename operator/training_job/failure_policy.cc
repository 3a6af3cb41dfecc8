#include "operator/training_job/failure_policy.h"

#include <algorithm>
#include <chrono>

namespace grapevine::training_job {
namespace {

constexpr std::chrono::seconds kRecently{60};
constexpr int kFreeFailures = 3;  // within kRecently: replaced at once
constexpr Duration kLongestWait = 30s;

// Ended so soon after its start that it cannot have done anything.
bool EndedAtOnce(const WorkerPod& pod) {
  const auto created = api::ParseWallTime(pod.created);
  const auto finished = api::ParseWallTime(pod.finished);
  return created && finished && *finished - *created < kRecently;
}

// Numbers in it may differ from one pod to the next.
std::string WithoutDigits(std::string text) {
  std::erase_if(text, [](char c) { return c >= '0' && c <= '9'; });
  return text;
}

// A bare exit code says nothing of what came to be wrong.
bool SaysWhy(const WorkerPod& pod) { return pod.cause.find(": ") != std::string::npos; }

// Fills `alike` and `last` from the pods that failed.
void FindCause(const std::vector<WorkerPod>& pods, api::WallTime now, Failures& failures) {
  const WorkerPod* last = nullptr;
  bool works = false;  // for somebody
  int failed = 0;
  bool restarted = false;  // some slot failed again
  failures.alike = true;
  for (const WorkerPod& pod : pods) {
    const auto created = api::ParseWallTime(pod.created);
    works = works || (pod.active() && pod.ready && created && now - *created >= kRecently);
    if (pod.disrupted || pod.state != WorkerPod::State::kFailed) continue;
    ++failed;
    restarted = restarted || pod.incarnation > 0;
    failures.alike = failures.alike && SaysWhy(pod) && EndedAtOnce(pod) &&
                     (last == nullptr || WithoutDigits(pod.cause) == WithoutDigits(last->cause));
    if (last == nullptr || pod.finished >= last->finished) last = &pod;
  }
  failures.alike = failures.alike && restarted && !works && failed >= kAlike;
  if (last != nullptr && !last->cause.empty()) failures.last = last->name + ", " + last->cause;
}

}  // namespace

Failures JudgeFailures(const Observed& observed) {
  const api::WorkersStatus& before = observed.job.status.workers;
  Failures failures{.restarts = before.restarts, .disrupted = before.disrupted};
  int32_t ended = 0;
  int32_t disrupted = 0;
  int recent = 0;
  api::WallTime last{};
  for (const WorkerPod& pod : observed.pods) {
    if (pod.disrupted) {
      ++disrupted;
    } else if (pod.finished_by_itself()) {
      ++ended;
      const auto finished = api::ParseWallTime(pod.finished);
      if (!finished || observed.wall - *finished > kRecently) continue;
      ++recent;
      last = std::max(last, *finished);
    }
  }
  failures.disrupted = std::max(failures.disrupted, disrupted);
  FindCause(observed.pods, observed.wall, failures);
  if (observed.hub.finish_since) return failures;
  failures.restarts = std::max(failures.restarts, ended);
  failures.too_many = failures.restarts > observed.job.spec.failure_policy.max_restarts;
  if (recent > kFreeFailures) {
    const Duration pause =
        std::min<Duration>(kLongestWait, 1s * (1 << std::min(recent - kFreeFailures - 1, 5)));
    const Duration since = std::max<Duration>(0s, observed.wall - last);
    failures.wait = std::max<Duration>(0s, pause - since);
  }
  return failures;
}

}  // namespace grapevine::training_job
