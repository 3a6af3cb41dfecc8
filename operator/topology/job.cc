#include "operator/topology/job.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "fmt/format.h"
#include "operator/base/log.h"

namespace grapevine::topology {
namespace {

constexpr Duration kProgressInterval = 1s;
// More than can be named while a decision that begins from one of them is under way.
constexpr size_t kCheckpointsKnown = 8;
constexpr Duration kRateInterval = 1s;
// Batch normalisation needs two; and the batches of all data epochs are to be counted in 63 bits.
constexpr int64_t kFewestSamples = 2;
constexpr int64_t kMostSamples = 1'000'000'000;
// Ids and epochs count up by one: none that was given is above it, and above it is room to count
// on.
constexpr uint64_t kMostClaimed = uint64_t{1} << 62;

membership::Holds HoldsAfter(v1::Start::From from) {
  switch (from) {
    case v1::Start::FROM_SEED:
      return membership::Holds::kSeed;
    case v1::Start::FROM_CHECKPOINT:
      return membership::Holds::kCheckpoint;
    case v1::Start::FROM_COPY:
      return membership::Holds::kCopy;
    case v1::Start::FROM_HELD:
      return membership::Holds::kState;
    default:
      return membership::Holds::kNothing;
  }
}

HubMessage RefusedMessage(std::string reason) {
  HubMessage message;
  message.mutable_refused()->set_reason(std::move(reason));
  return message;
}

// Ids of requests are the hub's own: one of an earlier operator may come again.
bool IsFrom(MemberId member, const std::optional<Pending>& pending) {
  return pending && pending->member == member;
}

absl::Status CheckClaims(const v1::Register& registration) {
  const std::pair<const char*, uint64_t> claims[] = {{"member", registration.member()},
                                                     {"view.epoch", registration.view().epoch()}};
  const auto refuse = [](const char* field, uint64_t claimed) {
    return absl::InvalidArgumentError(
        fmt::format("register.{}: found {}, allowed is 0 to {}", field, claimed, kMostClaimed));
  };
  for (const auto& [field, claimed] : claims) {
    if (claimed > kMostClaimed) return refuse(field, claimed);
  }
  for (const v1::LeaseClaim& claim : registration.leases()) {
    if (claim.lease() > kMostClaimed) return refuse("leases", claim.lease());
  }
  return absl::OkStatus();
}

}  // namespace

v1::Start::From FromOf(membership::Role role) {
  switch (role) {
    case membership::Role::kSeed:
      return v1::Start::FROM_SEED;
    case membership::Role::kCheckpoint:
      return v1::Start::FROM_CHECKPOINT;
    case membership::Role::kKeep:
      return v1::Start::FROM_HELD;
    case membership::Role::kCopy:
      return v1::Start::FROM_COPY;
    case membership::Role::kUnassigned:
      break;
  }
  return v1::Start::FROM_UNSPECIFIED;
}

Job::Job(const JobConfig& config, const JobRecord& before, uint64_t first_request, Time now)
    : config_(config),
      made_at_(now),
      graph_(std::make_shared<const graph::Graph>()),
      next_request_(first_request) {
  state_.known = true;
  state_.leases_stopped_since = now;
  TakeOver(before, now);
}

void Job::SetConfig(const JobConfig& config) {
  const bool changed = config.spec_json != config_.spec_json;
  config_ = config;
  if (!changed || state_.stopped) return;
  HubMessage message;
  message.mutable_spec_changed()->set_spec_json(config_.spec_json);
  for (auto& [id, registrant] : registrants_) Send(registrant, message);
}

Job::Registrant* Job::Find(MemberId id) {
  auto it = registrants_.find(id);
  return it == registrants_.end() ? nullptr : &it->second;
}

void Job::Send(Registrant& registrant, const HubMessage& message) {
  if (!registrant.sink || registrant.sink->Send(message)) return;
  LogWarn("member {} does not read what it is sent and is cut off", registrant.id);
  registrant.sink->Close();
}

bool Job::MayResume(const Registrant& member, const v1::Register& registration) const {
  if (member.awaited && !registration.has_built()) return false;  // a member has a model
  return member.standing == Standing::kMember && registration.job_uid() == config_.uid &&
         registration.pod() == member.rules.pod &&
         (registration.pod_uid() == member.pod_uid || member.awaited) &&
         registration.address() == member.address;
}

absl::StatusOr<MemberId> Job::OnRegister(const v1::Register& registration,
                                         std::shared_ptr<Sink> sink, Time now) {
  if (absl::Status status = CheckClaims(registration); !status.ok()) {
    sink->Send(RefusedMessage(std::string(status.message())));
    return status;
  }
  if (registration.job_uid() == config_.uid) {
    next_member_ = std::max(next_member_, registration.member() + 1);
    epoch_ = std::max(epoch_, registration.view().epoch());
    state_.record_is_old |= registration.view().epoch() > epoch_before_ && state_.taken_over_at;
  }
  if (IsNewerThanRecord(registration, now)) AddMissing(registration, now);
  if (Registrant* known = Find(registration.member())) {
    if (MayResume(*known, registration)) {
      if (known->sink) known->sink->Close();
      known->sink = std::move(sink);
      if (absl::Status status = Resume(*known, registration, now); !status.ok()) return status;
      return known->id;
    }
    if (known->standing == Standing::kWaiting && known->pod_uid == registration.pod_uid()) {
      Erase(known->id, now);
    }
  }
  const MemberId id = next_member_++;
  Registrant& registrant = registrants_[id];
  registrant.id = id;
  registrant.pod_uid = registration.pod_uid();
  registrant.address = registration.address();
  registrant.sink = std::move(sink);
  registrant.rules.pod = registration.pod();
  registrant.rules.last_report = now;
  if (registration.holds_state() && registration.job_uid() == config_.uid) {
    registrant.rules.holds = membership::Holds::kState;
  }
  HubMessage message;
  if (state_.stopped) {
    message.mutable_stop()->set_reason("the job is over");
    Send(registrant, message);
    return id;
  }
  message.mutable_assign()->set_member(id);
  message.mutable_assign()->set_job_uid(config_.uid);
  message.mutable_assign()->set_spec_json(config_.spec_json);
  Send(registrant, message);
  return id;
}

absl::Status Job::Resume(Registrant& member, const v1::Register& registration, Time now) {
  const bool awaited = std::exchange(member.awaited, false);
  if (awaited) {
    --awaited_;
    member.pod_uid = registration.pod_uid();
    LogInfo("member {} of pod {} goes on", member.id, member.rules.pod);
    if (absl::Status status = TakeBuilt(member, registration.built()); !status.ok()) return status;
    if (desk_) desk_->Adopt(member.id, registration);
  }
  member.rules.broken_since.reset();
  member.rules.last_report = now;
  HubMessage message;
  message.mutable_assign()->set_member(member.id);
  message.mutable_assign()->set_job_uid(config_.uid);
  message.mutable_assign()->set_spec_json(config_.spec_json);
  Send(member, message);
  SendView(member);
  if (desk_) desk_->OnResume(member.id, registration, now);
  SendPending(member);
  return absl::OkStatus();
}

// What it was asked for may have been lost with its old stream; by the request's id it knows what
// it has done already.
void Job::SendPending(Registrant& member) {
  if (state_.stopped) {  // by a hub that it had not found yet
    HubMessage message;
    message.mutable_stop()->set_reason("the job is over");
    return Send(member, message);
  }
  if (state_.finish_since) {
    HubMessage message;
    message.mutable_finish();
    Send(member, message);
  }
  if (state_.idle) {
    HubMessage message;
    message.mutable_idle();
    Send(member, message);
  }
  const auto send = [&](const std::optional<Pending>& pending,
                        const std::optional<HubMessage>& text) {
    if (pending && pending->member == member.id && text) Send(member, *text);
  };
  send(state_.finalize, finalize_);
  if (auto slice = slices_.find(member.id); slice != slices_.end()) Send(member, slice->second);
  if (final_evaluation_) ServeSlices();
  send(state_.evaluation, evaluate_);
  send(state_.checkpoint_write, write_checkpoint_);
}

bool Job::OnBroken(MemberId id, const Sink* sink, Time now) {
  Registrant* registrant = Find(id);
  if (registrant == nullptr || registrant->sink.get() != sink) return false;
  registrant->sink.reset();
  registrant->rules.broken_since = now;
  if (desk_) desk_->RemoveMember(id);
  if (registrant->standing == Standing::kDeparted ||
      (registrant->standing == Standing::kWaiting && !registrant->built)) {
    Erase(id, now);
    return false;
  }
  return true;
}

absl::StatusOr<bool> Job::OnMessage(MemberId id, const WorkerMessage& message, Time now) {
  Registrant* registrant = Find(id);
  if (registrant == nullptr) return absl::NotFoundError("no such member");
  registrant->rules.last_report = now;
  switch (message.kind_case()) {
    case WorkerMessage::kBuilt:
      if (absl::Status status = TakeBuilt(*registrant, message.built()); !status.ok())
        return status;
      return true;
    case WorkerMessage::kUnfit:
      return OnUnfit(*registrant, message.unfit());
    case WorkerMessage::kReady:
      return OnReady(*registrant, message.ready(), now);
    case WorkerMessage::kUnreadable:
      return OnUnreadable(*registrant, message.unreadable());
    case WorkerMessage::kReport:
      return OnReport(*registrant, message.report(), now);
    case WorkerMessage::kLeaseReturn:
      if (desk_) desk_->OnReturn(id, message.lease_return(), now);
      return ProgressIsNews();
    case WorkerMessage::kEvaluated:
      return OnEvaluated(*registrant, message.evaluated(), now);
    case WorkerMessage::kCheckpointWritten:
      return OnCheckpointWritten(*registrant, message.checkpoint_written(), now);
    case WorkerMessage::kFinalized:
      return OnFinalized(*registrant, message.finalized());
    case WorkerMessage::kSliceEvaluated:
      return OnSliceEvaluated(*registrant, message.slice_evaluated(), now);
    case WorkerMessage::kLeave:
      registrant->rules.leaving = true;
      return true;
    case WorkerMessage::kRegister:
    case WorkerMessage::KIND_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("a message that makes no sense here");
}

absl::Status Job::TakeBuilt(Registrant& registrant, const v1::Built& built) {
  const uint64_t layout = layout_hash_.value_or(built.layout_hash());
  std::string refusal;
  if (built.samples() < kFewestSamples || built.samples() > kMostSamples) {
    refusal = fmt::format("built.samples: found {}, allowed is {} to {}", built.samples(),
                          kFewestSamples, kMostSamples);
  } else if (built.layout_hash() != layout) {
    refusal = fmt::format("the model's layout {:016x} is not the job's, {:016x}",
                          built.layout_hash(), layout);
  } else if (desk_ && built.samples() != dataset_samples_) {
    refusal = fmt::format("the training set has {} samples, the job's has {}", built.samples(),
                          dataset_samples_);
  }
  if (!refusal.empty()) {
    LogWarn("member {} of pod {} is refused: {}", registrant.id, registrant.rules.pod, refusal);
    Send(registrant, RefusedMessage(refusal));
    return absl::FailedPreconditionError(refusal);
  }
  layout_hash_ = layout;
  dataset_samples_ = built.samples();
  if (!desk_ && config_.batch_size > 0) {
    desk_ =
        std::make_unique<LeaseDesk>(progress::LedgerOptions{.samples_per_epoch = dataset_samples_,
                                                            .batch_size = config_.batch_size,
                                                            .data_epochs = config_.data_epochs},
                                    [this](MemberId member, const HubMessage& message) {
                                      if (Registrant* owner = Find(member)) Send(*owner, message);
                                    });
    TakeOverProgress();
    // Nobody has said that it is a member, so this grants nothing.
    desk_->SetGranting(!state_.leases_stopped_since, Time{});
  }
  NoteCheckpoint(built.checkpoint());
  registrant.built = true;
  return absl::OkStatus();
}

bool Job::OnUnfit(const Registrant& registrant, const v1::Unfit& unfit) {
  if (!state_.unfit) state_.unfit = {registrant.rules.pod, unfit.reason(), unfit.message()};
  return true;
}

absl::StatusOr<bool> Job::OnReady(Registrant& registrant, const v1::Ready& ready, Time now) {
  if (!registrant.built || registrant.rules.assigned == membership::Role::kUnassigned) {
    return absl::InvalidArgumentError("ready before it was told how to start");
  }
  // An answer to an earlier Start: the one in force is still to be answered.
  if (registrant.standing != Standing::kWaiting ||
      ready.from() != FromOf(registrant.rules.assigned)) {
    return false;
  }
  registrant.rules.holds = HoldsAfter(ready.from());
  registrant.rules.held_checkpoint = registrant.rules.assigned_checkpoint;
  registrant.rules.ready_since = now;
  registrant.copy_seconds = ready.copy_seconds();
  return true;
}

bool Job::OnReport(Registrant& registrant, const v1::Report& report, Time now) {
  if (registrant.standing == Standing::kWaiting) return false;
  accounts_.Report(registrant.id, report);
  if (desk_) desk_->OnReport(registrant.id, report, now);
  registrant.last_report = report.number();
  bool news = ProgressIsNews();
  if (state_.finish_since && registrant.standing == Standing::kMember) {
    news |= report.settled() && !registrant.settled;
    registrant.settled = report.settled();
  }
  return news;
}

bool Job::ProgressIsNews() {
  if (!desk_) return false;
  const bool used_up = desk_->ledger().Finished();
  const int64_t done = desk_->ledger().data_epochs_done();
  const bool news = used_up != news_used_up_ || done != news_data_epochs_;
  news_used_up_ = used_up;
  news_data_epochs_ = done;
  return news;
}

bool Job::OnEvaluated(const Registrant& registrant, const v1::Evaluated& evaluated, Time now) {
  if (!IsFrom(registrant.id, state_.evaluation) || evaluate_->evaluate().id() != evaluated.id()) {
    return false;
  }
  const Duration took = now - state_.evaluation->since;
  state_.evaluated_at = now;
  state_.evaluation.reset();
  evaluate_.reset();
  if (!evaluated.error().empty()) {
    LogError("member {} could not evaluate: {}", registrant.id, evaluated.error());
    return true;
  }
  state_.evaluation_took = took;
  evaluations_.push_back({.member = registrant.id,
                          .data_epochs = evaluation_data_epochs_,
                          .loss = evaluated.loss(),
                          .accuracy = evaluated.accuracy(),
                          .samples = evaluated.samples(),
                          .at = now});
  if (evaluations_.size() > JobStats::kMaxEvaluations) evaluations_.pop_front();
  return true;
}

bool Job::OnCheckpointWritten(const Registrant& registrant, const v1::CheckpointWritten& written,
                              Time now) {
  if (!IsFrom(registrant.id, state_.checkpoint_write) ||
      write_checkpoint_->write_checkpoint().id() != written.id()) {
    return false;
  }
  if (written.error().empty()) {
    state_.checkpointed_at = now;
    v1::Checkpoint checkpoint;
    checkpoint.set_path(written.path());
    *checkpoint.mutable_progress() = write_checkpoint_->write_checkpoint().progress();
    NoteCheckpoint(checkpoint);
  } else {
    LogError("member {} could not write checkpoint {}: {}", registrant.id, written.path(),
             written.error());
  }
  state_.checkpoint_error = written.error();
  state_.checkpoint_write.reset();
  write_checkpoint_.reset();
  return true;
}

bool Job::OnUnreadable(Registrant& registrant, const v1::Unreadable& unreadable) {
  const membership::Registrant& rules = registrant.rules;
  if (registrant.standing != Standing::kWaiting ||
      rules.assigned != membership::Role::kCheckpoint ||
      rules.assigned_checkpoint != unreadable.checkpoint_path()) {
    return false;  // it was told otherwise meanwhile
  }
  LogWarn("pod {} cannot load a checkpoint: {}", rules.pod, unreadable.reason());
  registrant.unreadable = unreadable.reason();
  NoteCheckpoint(unreadable.instead());
  GiveUpUnreadable();
  return true;
}

void Job::NoteCheckpoint(const v1::Checkpoint& checkpoint) {
  if (checkpoint.path().empty()) return;
  const auto is_it = [&](const auto& known) { return known.path() == checkpoint.path(); };
  const auto was_it = [&](const auto& known) { return known.checkpoint == checkpoint.path(); };
  if (std::ranges::any_of(checkpoints_, is_it) || std::ranges::any_of(state_.unreadable, was_it)) {
    return;
  }
  const auto samples = [](const v1::Checkpoint& known) { return known.progress().samples(); };
  checkpoints_.insert(
      std::ranges::lower_bound(checkpoints_, samples(checkpoint), std::less<>(), samples),
      checkpoint);
  if (checkpoints_.size() > kCheckpointsKnown) checkpoints_.erase(checkpoints_.begin());
}

void Job::GiveUpUnreadable() {
  if (checkpoints_.empty()) return;
  const std::string path = checkpoints_.back().path();
  const Registrant* failed = nullptr;
  for (const auto& [id, registrant] : registrants_) {
    if (registrant.standing != Standing::kWaiting ||
        registrant.rules.assigned != membership::Role::kCheckpoint ||
        registrant.rules.assigned_checkpoint != path) {
      continue;
    }
    if (!registrant.unreadable) return;  // it loads it, or has
    failed = &registrant;
  }
  if (failed == nullptr) return;
  checkpoints_.pop_back();
  state_.unreadable.push_back({path, *failed->unreadable});
  if (!checkpoints_.empty() || state_.unfit) return;
  state_.unfit = {failed->rules.pod, "InvalidCheckpoint",
                  fmt::format("no checkpoint can be loaded, the last: {}", *failed->unreadable)};
}

void Job::BroadcastProgress(Time now) {
  progress_told_ = now;
  HubMessage message;
  message.mutable_progress()->set_members(static_cast<uint32_t>(members_));
  if (desk_) {
    message.mutable_progress()->set_data_epochs(desk_->ledger().ScheduleFraction());
    message.mutable_progress()->set_fraction(desk_->ledger().percent() / 100);
  }
  for (auto& [id, registrant] : registrants_) {
    if (registrant.standing != Standing::kMember) continue;
    message.mutable_progress()->set_recorded_report(registrant.recorded_report);
    Send(registrant, message);
  }
}

void Job::Tick(Time now) {
  AwaitMembers(now);
  if (desk_) desk_->Tick(now);
  if (!rates_noted_ || now - *rates_noted_ >= kRateInterval) {
    rates_noted_ = now;
    if (desk_) samples_rate_.Note(now, desk_->ledger().samples_done());
    exchanges_rate_.Note(now, accounts_.exchanges_completed());
    if (desk_) {
      loss_watch_.Note(accounts_.Loss(), config_.guessing_loss, desk_->ledger().samples_done());
    }
  }
  if (!progress_told_ || now - *progress_told_ >= kProgressInterval) BroadcastProgress(now);
}

void Job::Forgive(Duration pause) {
  for (auto& [id, registrant] : registrants_) {
    registrant.rules.last_report += pause;
    if (registrant.rules.broken_since) *registrant.rules.broken_since += pause;
  }
  for (std::optional<Pending>* pending :
       {&state_.finalize, &state_.evaluation, &state_.checkpoint_write}) {
    if (*pending) (*pending)->since += pause;
  }
  if (state_.taken_over_at) *state_.taken_over_at += pause;
  if (desk_) desk_->Forgive(pause);
}

Snapshot Job::Observe() const {
  Snapshot snapshot = state_;
  for (const auto& [id, registrant] : registrants_) {
    if (!registrant.built) continue;
    const bool departed = registrant.standing == Standing::kDeparted;
    RegistrantView& view = (departed ? snapshot.departed : snapshot.registrants).emplace_back();
    view.rules = registrant.rules;
    view.rules.id = id;
    view.rules.member = registrant.standing == Standing::kMember;
    view.awaited = registrant.awaited;
    view.pod_uid = registrant.pod_uid;
    view.address = registrant.address;
    view.connected = registrant.sink != nullptr;
    view.settled = registrant.settled;
  }
  snapshot.graph = graph_;
  snapshot.epoch = epoch_;
  snapshot.views_unknown = epoch_ != graph_epoch_;
  if (!checkpoints_.empty()) snapshot.checkpoint = checkpoints_.back().path();
  if (desk_) {
    const progress::Ledger& ledger = desk_->ledger();
    snapshot.samples = ledger.samples_done();
    snapshot.samples_total = ledger.samples_total();
    snapshot.data_epochs_done = ledger.data_epochs_done();
    snapshot.samples_used_up = ledger.Finished();
    snapshot.fraction = ledger.percent() / 100;
    snapshot.data_epochs = ledger.ScheduleFraction();
    snapshot.leases_out = ledger.leases_out() > 0;
  }
  snapshot.samples_per_second = samples_rate_.PerSecond().value_or(0);
  snapshot.guessing_since = loss_watch_.guessing_since();
  return snapshot;
}

JobStats Job::Stats() const {
  JobStats stats;
  accounts_.Fill(stats);
  for (MemberStats& member : stats.members) {
    if (const graph::Member* found = graph_->Find(member.id)) member.side = found->side;
  }
  const Snapshot now = Observe();
  stats.stage = now.stopped || (now.final_result && now.final_result->error.empty()) ? Stage::kDone
                : now.finalize     ? Stage::kFinalizing
                : now.finish_since ? Stage::kFinishing
                : members_ > 0     ? Stage::kTraining
                                   : Stage::kWaiting;
  stats.graph_epoch = epoch_;
  stats.graph_changes = graph_changes_;
  stats.graph_members = graph_->size();
  stats.graph_edges = graph_->edge_count();
  stats.graph_edits = graph_edits_;
  stats.publish_seconds = publish_seconds_;
  stats.exchanges_per_second = exchanges_rate_.PerSecond();
  stats.samples = now.samples;
  stats.samples_before = samples_before_;
  stats.samples_total = now.samples_total;
  stats.data_epochs = now.data_epochs;
  stats.fraction = now.fraction;
  stats.samples_per_second = samples_rate_.PerSecond();
  if (now.samples_per_second > 0) {
    stats.remaining_seconds =
        static_cast<double>(now.samples_total - now.samples) / now.samples_per_second;
  }
  stats.evaluations.assign(evaluations_.begin(), evaluations_.end());
  stats.result = result_;
  if (now.final_result) stats.final_checkpoint = now.final_result->checkpoint;
  stats.settled = now.settled;
  return stats;
}

}  // namespace grapevine::topology
