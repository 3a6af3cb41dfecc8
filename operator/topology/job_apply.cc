// The half of Job that carries out what the reconciler decided.

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "fmt/format.h"
#include "operator/base/log.h"
#include "operator/topology/job.h"

namespace grapevine::topology {
namespace {

constexpr size_t kMostDonors = 8;

v1::Side ToProto(graph::Side side) {
  return side == graph::Side::kActive ? v1::SIDE_ACTIVE : v1::SIDE_PASSIVE;
}

HubMessage StopMessage(const std::string& reason) {
  HubMessage message;
  message.mutable_stop()->set_reason(reason);
  return message;
}

}  // namespace

uint64_t Job::Apply(const Directives& directives, const Clock& clock) {
  const Time now = clock.Now();
  Begin(directives, now);
  if (directives.publish) Publish(*directives.publish, clock);
  for (const membership::Removal& removal : directives.forget) {
    Registrant* registrant = Find(removal.id);
    if (registrant == nullptr || registrant->standing == Standing::kMember) continue;
    LogInfo("registrant {} is forgotten: {}", removal.id, removal.reason);
    if (registrant->sink) registrant->sink->Close();
    Erase(removal.id, now);
  }
  for (const membership::Assignment& assignment : directives.assign) Assign(assignment);
  for (MemberId id : directives.stop_members) {
    if (Registrant* registrant = Find(id)) {
      Send(*registrant, StopMessage("the job has no more use for new members"));
    }
  }
  if (directives.grant_leases) SetGranting(*directives.grant_leases, now);
  if (directives.finish) SendFinish(now);
  if (directives.idle) SendIdle();
  if (directives.settled) state_.settled = *directives.settled;
  Ask(directives, now);
  if (directives.stop) StopEveryone(*directives.stop);
  return epoch_;
}

void Job::Begin(const Directives& directives, Time now) {
  if (directives.leave_finish) {
    state_.finish_since.reset();
    state_.idle = false;
    ForgetFinalize();
    state_.final_result.reset();
  }
  if (directives.start == membership::Start::kNone) return;
  LogInfo("the roster begins again from {}",
          directives.start == membership::Start::kSeed         ? "the seed"
          : directives.start == membership::Start::kCheckpoint ? directives.start_checkpoint
                                                               : "what a survivor holds");
  const bool first = !state_.training_since;
  if (first) state_.training_since = now;
  if (!desk_ || directives.start == membership::Start::kSurvivor) return;
  samples_rate_.Clear();
  state_.used_up_recorded = false;
  recorded_.reset();
  SetBack(directives);
  if (first) samples_before_ = desk_->ledger().samples_done();
  state_.evaluated_data_epochs = desk_->ledger().data_epochs_done();
}

void Job::SetBack(const Directives& directives) {
  if (directives.start == membership::Start::kCheckpoint) {
    // By name: a newer one may have been named since the decision was taken.
    const auto loaded =
        std::ranges::find(checkpoints_, directives.start_checkpoint, &v1::Checkpoint::path);
    const absl::Status status = loaded == checkpoints_.end()
                                    ? absl::NotFoundError("nobody has named it lately")
                                    : desk_->Restore(loaded->progress());
    if (status.ok()) return;
    LogError("progress of {} cannot be used and begins at zero: {}", directives.start_checkpoint,
             status.ToString());
  }
  desk_->Reset();
}

RosterChange Job::Depart(const membership::Removal& removal, bool lost, Time now) {
  RosterChange change{.member = removal.id, .lost = lost, .reason = removal.reason};
  Registrant* member = Find(removal.id);
  if (member == nullptr || member->standing != Standing::kMember) return change;
  LogInfo("member {} left: {}", removal.id, removal.reason);
  change.pod = member->rules.pod;
  member->standing = Standing::kDeparted;
  --members_;
  accounts_.Leave(removal.id, lost);
  if (JustTakenOver(now)) left_early_.insert(removal.id);
  if (desk_) desk_->RemoveMember(removal.id);
  GiveUpOn(removal.id, now);
  SendView(*member);  // without neighbours: it shall not offer to those who no longer know it
  if (member->sink && now - member->rules.last_report >= membership::kSilence) {
    member->sink->Close();
    member->sink.reset();
  }
  return change;
}

std::optional<RosterChange> Job::Admit(MemberId id) {
  Registrant* registrant = Find(id);
  if (registrant == nullptr || registrant->standing != Standing::kWaiting) return std::nullopt;
  registrant->standing = Standing::kMember;
  ++members_;
  accounts_.Admit(id, registrant->rules.pod, registrant->copy_seconds);
  const std::string how(membership::RoleName(registrant->rules.assigned));
  LogInfo("member {} of pod {} joined, by {}", id, registrant->rules.pod, how);
  return RosterChange{
      .member = id, .pod = registrant->rules.pod, .joined = true, .reason = std::move(how)};
}

void Job::Publish(const Publication& publication, const Clock& clock) {
  const std::set<MemberId> lost(publication.lost.begin(), publication.lost.end());
  const Time now = clock.Now();
  graph_ = std::make_shared<const graph::Graph>(publication.graph);
  graph_epoch_ = epoch_ = std::max(epoch_ + 1, first_epoch_);
  ++graph_changes_;
  std::vector<RosterChange> changes;
  for (const membership::Removal& removal : publication.removed) {
    changes.push_back(Depart(removal, lost.contains(removal.id), now));
  }
  for (const graph::Member& member : graph_->members()) {
    if (auto change = Admit(member.id)) changes.push_back(*std::move(change));
  }
  for (MemberId id : publication.changed) {
    if (Registrant* member = Find(id)) SendView(*member);
  }
  const Time published = clock.Now();
  graph_edits_.Add(static_cast<double>(publication.edits));
  publish_seconds_.Add(ToSeconds(published - publication.noticed));
  BroadcastProgress(published);
  // Leases come after the views, since nobody waits for them with an exchange.
  for (RosterChange& change : changes) {
    Registrant* registrant = Find(change.member);
    if (registrant == nullptr) continue;
    if (change.joined && registrant->sink && desk_) desk_->AddMember(change.member, published);
    if (!change.joined && !registrant->sink) Erase(change.member, published);
  }
  for (RosterChange& change : changes) {
    change.noticed = publication.noticed;
    change.published = published;
    accounts_.AddChange(std::move(change));
  }
}

void Job::SendView(Registrant& registrant) {
  HubMessage message;
  v1::View& view = *message.mutable_view();
  view.set_epoch(epoch_);
  view.set_side(v1::SIDE_PASSIVE);
  if (const graph::Member* member = graph_->Find(registrant.id)) {
    view.set_side(ToProto(member->side));
    for (MemberId id : graph_->Neighbours(registrant.id)) {
      const Registrant* neighbour = Find(id);
      if (neighbour == nullptr) continue;
      v1::Peer& peer = *view.add_neighbours();
      peer.set_member(id);
      peer.set_address(neighbour->address);
    }
  }
  Send(registrant, message);
}

void Job::Erase(MemberId id, Time now) {
  if (const Registrant* registrant = Find(id); registrant && registrant->awaited) --awaited_;
  registrants_.erase(id);
  if (desk_) desk_->RemoveMember(id);
  if (desk_) desk_->Release(id, now);
  GiveUpUnreadable();  // it may have been the last that was about to load it
}

void Job::Assign(const membership::Assignment& assignment) {
  Registrant* registrant = Find(assignment.id);
  if (registrant == nullptr || registrant->standing != Standing::kWaiting) return;
  membership::Registrant& rules = registrant->rules;
  rules.assigned = assignment.role;
  rules.assigned_checkpoint = assignment.checkpoint;
  rules.ready_since.reset();
  registrant->unreadable.reset();
  HubMessage message;
  v1::Start& start = *message.mutable_start();
  start.set_from(FromOf(assignment.role));
  if (assignment.role != membership::Role::kKeep) rules.holds = membership::Holds::kNothing;
  if (assignment.role == membership::Role::kCheckpoint) {
    start.set_checkpoint_path(assignment.checkpoint);
  }
  if (assignment.role == membership::Role::kCopy) AddDonors(assignment.id, start);
  LogInfo("registrant {} of pod {} starts by {}: {}", assignment.id, rules.pod,
          membership::RoleName(assignment.role), assignment.reason);
  Send(*registrant, message);
}

// Each joiner gets another order, so that one donor is not asked by all.
void Job::AddDonors(MemberId joiner, v1::Start& start) const {
  std::vector<const Registrant*> donors;
  for (const auto& [id, registrant] : registrants_) {
    const bool waits_with_state = members_ == 0 && registrant.standing == Standing::kWaiting &&
                                  registrant.rules.holds == membership::Holds::kState;
    const bool member = registrant.standing == Standing::kMember;
    if (id != joiner && registrant.sink && (member || waits_with_state))
      donors.push_back(&registrant);
  }
  for (size_t i = 0; i < std::min(donors.size(), kMostDonors); ++i) {
    const Registrant& donor = *donors[(joiner + i) % donors.size()];
    v1::Peer& peer = *start.add_donors();
    peer.set_member(donor.id);
    peer.set_address(donor.address);
  }
}

void Job::SetGranting(bool granting, Time now) {
  if (granting) {
    state_.leases_stopped_since.reset();
  } else if (!state_.leases_stopped_since) {
    state_.leases_stopped_since = now;
  }
  if (desk_) desk_->SetGranting(granting, now);
}

void Job::Ask(const Directives& directives, Time now) {
  const auto ask = [&](MemberId member, HubMessage message, std::optional<Pending>& pending,
                       std::optional<HubMessage>& sent) {
    pending = {.member = member, .since = now};
    if (Registrant* registrant = Find(member)) Send(*registrant, message);
    sent = std::move(message);
  };
  const auto give_up_on = [&](const std::optional<Pending>& pending) {
    if (!pending) return;
    LogWarn("member {} has not answered for {:.0f} s and is given up on", pending->member,
            ToSeconds(now - pending->since));
    state_.evaluation_took = std::max(state_.evaluation_took, now - pending->since);
  };
  const v1::JobProgress progress = desk_ ? desk_->Progress() : v1::JobProgress();
  if (directives.finalize) {
    if (state_.finalize) {
      give_up_on(state_.finalize);
      ++state_.finalize_errors;
      state_.final_result = Snapshot::Final{
          .error = fmt::format("member {} has not answered", state_.finalize->member)};
      ForgetFinalize();
    }
    HubMessage message;
    message.mutable_finalize()->set_id(next_request_++);
    message.mutable_finalize()->set_checkpoint_path(directives.finalize->path);
    *message.mutable_finalize()->mutable_progress() = progress;
    ask(directives.finalize->member, std::move(message), state_.finalize, finalize_);
  }
  if (directives.evaluate) {
    give_up_on(state_.evaluation);
    HubMessage message;
    message.mutable_evaluate()->set_id(next_request_++);
    state_.evaluated_data_epochs = desk_ ? desk_->ledger().data_epochs_done() : 0;
    state_.evaluated_by = *directives.evaluate;
    evaluation_data_epochs_ = desk_ ? desk_->ledger().ScheduleFraction() : 0;
    ask(*directives.evaluate, std::move(message), state_.evaluation, evaluate_);
  }
  if (directives.write_checkpoint) {
    HubMessage message;
    message.mutable_write_checkpoint()->set_id(next_request_++);
    message.mutable_write_checkpoint()->set_path(directives.write_checkpoint->path);
    *message.mutable_write_checkpoint()->mutable_progress() = progress;
    state_.checkpoint_tried_at = now;
    ask(directives.write_checkpoint->member, std::move(message), state_.checkpoint_write,
        write_checkpoint_);
  }
}

void Job::GiveUpOn(MemberId member, Time now) {
  if (state_.finalize && state_.finalize->member == member) {
    ForgetFinalize();
  } else if (final_evaluation_) {
    final_evaluation_->Remove(member);
    slices_.erase(member);
    ServeSlices();
  }
  if (state_.evaluation && state_.evaluation->member == member) {
    state_.evaluation.reset();
    state_.evaluated_at = now;
    evaluate_.reset();
  }
  if (state_.checkpoint_write && state_.checkpoint_write->member == member) {
    state_.checkpoint_write.reset();
    write_checkpoint_.reset();
  }
}

void Job::StopEveryone(const std::string& reason) {
  state_.stopped = true;
  for (auto& [id, registrant] : registrants_) Send(registrant, StopMessage(reason));
}

}  // namespace grapevine::topology
