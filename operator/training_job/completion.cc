#include "operator/training_job/completion.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "fmt/format.h"
#include "operator/api/checkpoint_file.h"
#include "operator/api/labels.h"
#include "operator/base/text.h"

namespace grapevine::training_job {
namespace {

std::vector<const topology::RegistrantView*> Members(const Observed& observed) {
  std::vector<const topology::RegistrantView*> members;
  for (const topology::RegistrantView& view : observed.hub.registrants) {
    if (view.rules.member) members.push_back(&view);
  }
  return members;
}

bool DeadlineIsOver(const Observed& observed) {
  const auto limit = observed.job.spec.active_deadline_seconds;
  const auto start = api::ParseWallTime(observed.job.status.start_time);
  return limit && start && observed.wall - *start >= std::chrono::seconds(*limit);
}

}  // namespace

bool StopRequested(const Observed& observed) {
  const auto& annotations = observed.job.metadata.annotations;
  auto it = annotations.find(api::kStopRequestedAnnotation);
  return it != annotations.end() && it->second == "true";
}

std::optional<Ending> JudgeEnding(const Observed& observed, const Failures& failures) {
  const topology::Snapshot& hub = observed.hub;
  if (hub.unfit) {
    return Ending{false, hub.unfit->reason,
                  fmt::format("pod {}: {}", hub.unfit->pod, hub.unfit->message)};
  }
  if (hub.final_result && hub.final_result->error.empty()) {
    if (!hub.samples_used_up) return Ending{false, "Stopped", "stopped by the user"};
    return Ending{true, "Completed", "all samples were trained on"};
  }
  if (hub.finalize_errors >= kMostFinalizeErrors) {
    return Ending{false, "FinalizeFailed", hub.final_result->error};
  }
  if (failures.too_many) {
    return Ending{false, "TooManyRestarts",
                  fmt::format("{} failed, maxRestarts is {}{}{}", Counted(failures.restarts, "pod"),
                              observed.job.spec.failure_policy.max_restarts,
                              failures.last.empty() ? "" : "; the last: ", failures.last)};
  }
  if (failures.alike) {
    return Ending{false, "WorkersFailAlike",
                  fmt::format("{} failed at once, all for the same cause; the last: {}",
                              Counted(failures.restarts, "pod"), failures.last)};
  }
  if (DeadlineIsOver(observed)) {
    return Ending{false, "DeadlineExceeded",
                  fmt::format("longer than activeDeadlineSeconds, {}",
                              *observed.job.spec.active_deadline_seconds)};
  }
  if (StopRequested(observed) && Members(observed).empty()) {
    return Ending{false, "Stopped", "stopped by the user"};
  }
  return std::nullopt;
}

std::optional<Duration> WindUp(const Observed& observed, topology::Directives& directives) {
  const topology::Snapshot& hub = observed.hub;
  const std::vector<const topology::RegistrantView*> members = Members(observed);
  if (!hub.finish_since) {
    directives.finish = !members.empty() && (hub.used_up_recorded || StopRequested(observed));
    if (directives.finish) return 0s;  // one member need not wait for anyone
    return std::nullopt;
  }
  if (members.empty() || (hub.final_result && hub.final_result->error.empty())) {
    return std::nullopt;
  }
  std::vector<MemberId> connected;
  for (const auto* member : members) {
    if (member->connected) connected.push_back(member->rules.id);
  }
  if (connected.empty()) return 100ms;
  if (hub.finalize) {
    const Duration limit = EvaluationLimit(hub);
    if (observed.now - hub.finalize->since < limit) return std::nullopt;
    // Where there is nobody else the same one is asked again: each time counts as an error, and so
    // this ends.
    const auto other = WhoInstead(*hub.finalize, limit, connected, observed.now);
    directives.finalize = {.member = other.value_or(hub.finalize->member),
                           .path = CheckpointPath(observed)};
    return std::nullopt;
  }
  if (!hub.idle) {
    const bool met = members.size() == 1 ||
                     std::ranges::all_of(members, [](const auto* m) { return m->settled; });
    const Duration waited = observed.now - *hub.finish_since;
    if (!met && waited < kFinishLimit) return kFinishLimit - waited;
    directives.settled = met;
    directives.idle = true;
  }
  // Another after an error: it may be that one's disk.
  const MemberId who = connected[static_cast<size_t>(hub.finalize_errors) % connected.size()];
  directives.finalize = {.member = who, .path = CheckpointPath(observed)};
  return std::nullopt;
}

Duration EvaluationLimit(const topology::Snapshot& hub) {
  return std::max(kEvaluationLimit, 2 * hub.evaluation_took);
}

std::optional<MemberId> WhoInstead(const topology::Pending& pending, Duration limit,
                                   const std::vector<MemberId>& connected, Time now) {
  if (now - pending.since < limit) return std::nullopt;
  auto next = std::ranges::upper_bound(connected, pending.member);
  const MemberId who = next == connected.end() ? connected.front() : *next;
  if (who == pending.member) return std::nullopt;
  return who;
}

std::string CheckpointPath(const Observed& observed) {
  const std::string& path = observed.job.spec.checkpoint.path;
  if (path.empty()) return "";
  return api::CheckpointFile(path, observed.job.metadata.uid, observed.hub.samples);
}

}  // namespace grapevine::training_job
