#include "operator/training_job/upkeep.h"

#include <algorithm>
#include <vector>

#include "operator/training_job/completion.h"

namespace grapevine::training_job {
namespace {

std::vector<MemberId> ConnectedMembers(const topology::Snapshot& hub) {
  std::vector<MemberId> ids;
  for (const topology::RegistrantView& view : hub.registrants) {
    if (view.rules.member && view.connected) ids.push_back(view.rules.id);
  }
  return ids;
}

std::optional<Duration> Evaluate(const Observed& observed, const std::vector<MemberId>& members,
                                 topology::Directives& directives) {
  const topology::Snapshot& hub = observed.hub;
  if (hub.evaluation) {
    directives.evaluate = WhoInstead(*hub.evaluation, EvaluationLimit(hub), members, observed.now);
    return std::nullopt;
  }
  if (hub.data_epochs_done <= hub.evaluated_data_epochs) return std::nullopt;
  if (hub.evaluated_at) {
    const double pause =
        ToSeconds(hub.evaluation_took) / (kEvaluationShare * static_cast<double>(members.size()));
    const Duration left = *hub.evaluated_at + FromSeconds(pause) - observed.now;
    if (left > 0s) return left;
  }
  auto next = std::ranges::upper_bound(members, hub.evaluated_by);
  directives.evaluate = next == members.end() ? members.front() : *next;
  return std::nullopt;
}

// Nobody while one is being written.
std::optional<MemberId> CheckpointWriter(const Observed& observed,
                                         const std::vector<MemberId>& members) {
  const std::optional<topology::Pending>& pending = observed.hub.checkpoint_write;
  if (!pending) return members.front();
  return WhoInstead(*pending, kCheckpointLimit, members, observed.now);
}

std::optional<Duration> WriteCheckpoint(const Observed& observed,
                                        const std::vector<MemberId>& members,
                                        topology::Directives& directives) {
  const topology::Snapshot& hub = observed.hub;
  const api::CheckpointSpec& spec = observed.job.spec.checkpoint;
  if (spec.path.empty() || !hub.training_since) return std::nullopt;
  const std::optional<MemberId> writer = CheckpointWriter(observed, members);
  if (!writer) return std::nullopt;
  Time last = *hub.training_since;
  if (hub.checkpoint_tried_at) last = std::max(last, *hub.checkpoint_tried_at);
  const Duration left = last + spec.every_seconds * 1s - observed.now;
  if (left > 0s) return left;
  directives.write_checkpoint = {.member = *writer, .path = CheckpointPath(observed)};
  return std::nullopt;
}

}  // namespace

std::optional<Duration> Maintain(const Observed& observed, topology::Directives& directives) {
  const topology::Snapshot& hub = observed.hub;
  const std::vector<MemberId> members = ConnectedMembers(hub);
  if (members.empty() || hub.finish_since || hub.samples_used_up) return std::nullopt;
  const auto evaluation = Evaluate(observed, members, directives);
  const auto checkpoint = WriteCheckpoint(observed, members, directives);
  if (!evaluation) return checkpoint;
  return checkpoint ? std::min(*evaluation, *checkpoint) : evaluation;
}

bool ReadyToSuspend(const Observed& observed, topology::Directives& directives) {
  const topology::Snapshot& hub = observed.hub;
  const std::vector<MemberId> members = ConnectedMembers(hub);
  if (members.empty() || observed.job.spec.checkpoint.path.empty()) return true;
  // The first decision of a suspension stops the leases; the checkpoint comes after.
  if (!hub.leases_stopped_since) return false;
  if (observed.now - *hub.leases_stopped_since >= kSuspendLimit) return true;
  if (hub.checkpointed_at && *hub.checkpointed_at >= *hub.leases_stopped_since) return true;
  const bool tried =
      hub.checkpoint_tried_at && *hub.checkpoint_tried_at >= *hub.leases_stopped_since;
  if (tried && !hub.checkpoint_write) return true;
  if (const auto writer = CheckpointWriter(observed, members)) {
    directives.write_checkpoint = {.member = *writer, .path = CheckpointPath(observed)};
  }
  return false;
}

}  // namespace grapevine::training_job
