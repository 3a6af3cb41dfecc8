#include "operator/training_job/failure_policy.h"

#include <algorithm>
#include <chrono>
#include <optional>

namespace grapevine::training_job {
namespace {

// When it was over. Of a pod that does not say it, a kubelet that refused it, when it was made.
std::optional<api::WallTime> EndOf(const WorkerPod& pod) {
  const auto finished = api::ParseWallTime(pod.finished);
  return finished ? finished : api::ParseWallTime(pod.created);
}

// Ended so soon after its start that it cannot have done anything.
bool EndedAtOnce(const WorkerPod& pod) {
  const auto created = api::ParseWallTime(pod.created);
  const auto end = EndOf(pod);
  return created && end && *end - *created < kShortLife;
}

struct ShortLives {
  int in_a_row = 0;  // of a slot's last pods
  api::WallTime last{};
};

std::map<int32_t, Duration> Waits(const Observed& observed) {
  std::map<int32_t, ShortLives> slots;
  for (const WorkerPod& pod : observed.pods) {  // by incarnation
    if (!pod.finished_by_itself()) continue;
    ShortLives& lives = slots[pod.slot];
    lives.in_a_row = EndedAtOnce(pod) ? lives.in_a_row + 1 : 0;
    if (const auto end = EndOf(pod)) lives.last = *end;
  }
  std::map<int32_t, Duration> waits;
  for (const auto& [slot, lives] : slots) {
    if (lives.in_a_row < 2) continue;
    const Duration pause =
        std::min<Duration>(kLongestWait, 1s * (1 << std::min(lives.in_a_row - 2, 5)));
    // Another machine's clock may be ahead of this one's.
    const Duration since = std::max<Duration>(0s, observed.wall - lives.last);
    if (since < pause) waits[slot] = pause - since;
  }
  return waits;
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
    works = works || (pod.active() && pod.ready && created && now - *created >= kShortLife);
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
  Failures failures{.restarts = before.restarts,
                    .disrupted = std::max(before.disrupted, observed.disrupted)};
  const auto ended = std::ranges::count_if(observed.pods, [](const WorkerPod& pod) {
    return pod.finished_by_itself() && !pod.disrupted;
  });
  FindCause(observed.pods, observed.wall, failures);
  if (observed.hub.finish_since) return failures;
  failures.restarts = std::max(failures.restarts, static_cast<int32_t>(ended));
  failures.too_many = failures.restarts > observed.job.spec.failure_policy.max_restarts;
  failures.waits = Waits(observed);
  return failures;
}

}  // namespace grapevine::training_job
