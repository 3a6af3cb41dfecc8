// The part of Job that passes a job on from one hub to the next: see job_record.h.

#include <algorithm>
#include <utility>

#include "operator/base/log.h"
#include "operator/topology/job.h"

namespace grapevine::topology {
namespace {

// A hub that nobody has found yet calls nobody late, but at last it does.
constexpr Duration kNobodyLimit = 60s;

}  // namespace

void Job::TakeOver(const JobRecord& before, Time now) {
  epoch_ = graph_epoch_ = epoch_before_ = before.epoch;
  state_.record_is_old = before.incomplete;
  graph_ = std::make_shared<const graph::Graph>(before.graph);
  progress_before_ = before.progress;
  for (const JobRecord::Member& member : before.members) {
    Registrant& registrant = registrants_[member.id];
    registrant.id = member.id;
    registrant.standing = Standing::kMember;
    registrant.address = member.address;
    registrant.built = true;
    registrant.awaited = true;
    registrant.rules.pod = member.pod;
    registrant.rules.last_report = now;
    accounts_.Admit(member.id, member.pod, /*copy_seconds=*/0);
  }
  members_ = awaited_ = registrants_.size();
  first_epoch_ = before.last_epoch + 1;
  next_member_ = before.last_member + 1;
  if (before.last_epoch == 0) return;  // a new job
  state_.taken_over_at = now;
  if (members_ == 0) return;
  state_.training_since = now;
  LogInfo("the roster is taken over at epoch {}: {} members are awaited", epoch_, members_);
}

bool Job::JustTakenOver(Time now) const {
  return state_.taken_over_at && now - *state_.taken_over_at < membership::kSilence;
}

bool Job::IsNewerThanRecord(const v1::Register& registration, Time now) const {
  return JustTakenOver(now) && !state_.stopped && registration.job_uid() == config_.uid &&
         registration.member() != 0 && registration.has_built() && registration.holds_state() &&
         registration.view().epoch() > epoch_before_ &&
         !registrants_.contains(registration.member()) &&
         !left_early_.contains(registration.member());
}

void Job::AddMissing(const v1::Register& registration, Time now) {
  Registrant& registrant = registrants_[registration.member()];
  registrant.id = registration.member();
  registrant.standing = Standing::kMember;
  registrant.address = registration.address();
  registrant.awaited = true;
  registrant.rules.pod = registration.pod();
  registrant.rules.last_report = now;
  accounts_.Admit(registrant.id, registration.pod(), /*copy_seconds=*/0);
  ++members_;
  ++awaited_;
  if (!state_.training_since) state_.training_since = now;
}

void Job::TakeOverProgress() {
  const auto before = std::exchange(progress_before_, std::nullopt);
  if (!before) return;
  if (const absl::Status status = desk_->Restore(*before); !status.ok()) {
    LogError("the recorded progress cannot be used and begins at zero: {}", status.ToString());
    return;
  }
  samples_before_ = desk_->ledger().samples_done();
  state_.evaluated_data_epochs = desk_->ledger().data_epochs_done();
  state_.used_up_recorded = desk_->ledger().Finished();
}

void Job::AwaitMembers(Time now) {
  if (awaited_ < registrants_.size() || now - made_at_ >= kNobodyLimit) return;
  for (auto& [id, registrant] : registrants_) {
    if (registrant.awaited) registrant.rules.last_report = now;
  }
}

JobRecord Job::Record() {
  JobRecord record{.epoch = graph_epoch_,
                   .last_epoch = std::max(epoch_, first_epoch_ - 1),
                   .last_member = next_member_ - 1,
                   .graph = *graph_};
  recorded_ = Recorded{.used_up = false, .last_reports = {}};
  for (const auto& [id, registrant] : registrants_) {
    recorded_->last_reports[id] = registrant.last_report;
    if (graph_->Contains(id)) {
      record.members.push_back(
          {.id = id, .pod = registrant.rules.pod, .address = registrant.address});
    }
  }
  if (desk_) {
    recorded_->used_up = desk_->ledger().Finished();
    record.progress = desk_->ledger().Snapshot();
  } else {
    record.progress = progress_before_;
  }
  return record;
}

bool Job::NoteRecorded() {
  const auto recorded = std::exchange(recorded_, std::nullopt);
  if (!recorded) return false;
  for (const auto& [id, report] : recorded->last_reports) {
    if (Registrant* registrant = Find(id)) registrant->recorded_report = report;
  }
  return recorded->used_up && !std::exchange(state_.used_up_recorded, true);
}

}  // namespace grapevine::topology
