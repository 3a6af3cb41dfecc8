#include "worker/control/session.h"

#include <algorithm>
#include <utility>

#include "operator/base/log.h"

namespace grapevine::control {
namespace {

// Answers kept for a hub that asks again: one of each kind may be under way.
constexpr size_t kAnswersKept = 8;

gossip::View ToView(const proto::View& view) {
  gossip::View found{
      .epoch = view.epoch(),
      .side = view.side() == proto::SIDE_ACTIVE ? gossip::Side::kActive : gossip::Side::kPassive};
  for (const proto::Peer& peer : view.neighbours()) {
    found.neighbours.push_back({peer.member(), peer.address()});
  }
  return found;
}

void FillView(const gossip::View& view, proto::View& out) {
  out.set_epoch(view.epoch);
  out.set_side(view.side == gossip::Side::kActive ? proto::SIDE_ACTIVE : proto::SIDE_PASSIVE);
  for (const gossip::Neighbour& neighbour : view.neighbours) {
    proto::Peer& peer = *out.add_neighbours();
    peer.set_member(neighbour.member);
    peer.set_address(neighbour.address);
  }
}

void FillLeases(const std::vector<train::LeaseProgress>& leases,
                google::protobuf::RepeatedPtrField<proto::LeaseProgress>& out) {
  for (const train::LeaseProgress& lease : leases) {
    proto::LeaseProgress& one = *out.Add();
    one.set_lease(lease.lease);
    one.set_batches_done(lease.batches_done);
  }
}

void FillClaims(const std::vector<train::LeaseClaim>& claims,
                google::protobuf::RepeatedPtrField<proto::LeaseClaim>& out) {
  for (const train::LeaseClaim& claim : claims) {
    proto::LeaseClaim& one = *out.Add();
    one.set_lease(claim.lease);
    one.set_batches_done(claim.batches_done);
    int64_t left = -claim.batches_done;
    for (const train::BatchRange& range : claim.ranges) {
      proto::BatchRange& part = *one.add_ranges();
      part.set_data_epoch(range.data_epoch);
      part.set_first_batch(range.first_batch);
      part.set_end_batch(range.end_batch);
      left += range.end_batch - range.first_batch;
    }
    one.set_finished(left == 0);
  }
}

proto::WorkerMessage ReturnMessage(const train::LeaseReturn& taken) {
  proto::WorkerMessage message;
  proto::LeaseReturn& out = *message.mutable_lease_return();
  out.set_lease(taken.lease);
  out.set_first_unused(taken.first_unused);
  out.set_batches_done(taken.batches_done);
  return message;
}

}  // namespace

Session::Session(const SessionOptions& options, Parts& parts,
                 std::function<void(const proto::WorkerMessage&)> send)
    : options_(options), parts_(parts), send_(std::move(send)) {}

void Session::Send(const proto::WorkerMessage& message) {
  if (connected_ && !left_) send_(message);
}

void Session::OnConnected() {
  connected_ = true;
  registered_ = false;
  settled_ = false;  // what was said may not have arrived
  if (left_) return;
  proto::WorkerMessage message;
  proto::Register& registration = *message.mutable_register_();
  registration.set_namespace_(options_.name_space);
  registration.set_job(options_.job);
  registration.set_pod(options_.pod);
  registration.set_pod_uid(options_.pod_uid);
  registration.set_address(options_.address);
  registration.set_member(member_);
  registration.set_job_uid(job_uid_);
  registration.set_holds_state(holds_state_);
  if (admitted_) FillView(view_, *registration.mutable_view());
  if (train::LeaseQueue* leases = parts_.leases()) {
    FillClaims(leases->Claims(), *registration.mutable_leases());
  }
  if (built_) {
    *registration.mutable_built() = *built_;
    registration.mutable_built()->clear_checkpoint();
  }
  Send(message);
}

void Session::OnDisconnected() {
  connected_ = false;
  registered_ = false;
  if (train::LeaseQueue* leases = parts_.leases()) leases->SetConnected(false);
}

void Session::OnMessage(const proto::HubMessage& message) {
  if (left_) return;
  switch (message.kind_case()) {
    case proto::HubMessage::kAssign:
      return OnAssign(message.assign());
    case proto::HubMessage::kRefused:
      return parts_.Stop(message.refused().reason(), /*refused=*/true);
    case proto::HubMessage::kStop:
      return parts_.Stop(message.stop().reason(), /*refused=*/false);
    case proto::HubMessage::kSpecChanged:
      return OnSpec(message.spec_changed().spec_json());
    case proto::HubMessage::kStart:
    case proto::HubMessage::kView:
    case proto::HubMessage::kProgress:
    case proto::HubMessage::kLease:
    case proto::HubMessage::kRecall:
    case proto::HubMessage::kEvaluate:
    case proto::HubMessage::kWriteCheckpoint:
    case proto::HubMessage::kFinish:
    case proto::HubMessage::kIdle:
    case proto::HubMessage::kFinalize:
    case proto::HubMessage::kEvaluateSlice:
      if (built_) return OnDirective(message);
      LogWarn("the hub asked for something before there was a model; passed over");
      return;
    case proto::HubMessage::KIND_NOT_SET:
      return;
  }
}

void Session::OnDirective(const proto::HubMessage& message) {
  switch (message.kind_case()) {
    case proto::HubMessage::kStart:
      return OnStart(message.start());
    case proto::HubMessage::kView:
      return OnView(message.view());
    case proto::HubMessage::kProgress:
      parts_.leases()->Forget(message.progress().recorded_report());
      return parts_.SetProgress(message.progress());
    case proto::HubMessage::kLease:
      return OnLease(message.lease());
    case proto::HubMessage::kRecall:
      return Send(ReturnMessage(parts_.leases()->Recall(message.recall().lease())));
    case proto::HubMessage::kEvaluate:
      if (Begins(message.evaluate().id())) parts_.Evaluate(message.evaluate().id());
      return;
    case proto::HubMessage::kWriteCheckpoint:
      if (Begins(message.write_checkpoint().id())) {
        parts_.WriteCheckpoint(message.write_checkpoint());
      }
      return;
    case proto::HubMessage::kFinish:
      if (!std::exchange(finishing_, true)) parts_.Finish();
      return;
    case proto::HubMessage::kIdle:
      return parts_.Idle();
    case proto::HubMessage::kFinalize:
      if (Begins(message.finalize().id())) parts_.Finalize(message.finalize());
      return;
    case proto::HubMessage::kEvaluateSlice:
      if (Begins(message.evaluate_slice().id())) parts_.EvaluateSlice(message.evaluate_slice());
      return;
    default:
      return;
  }
}

void Session::OnAssign(const proto::Assign& assign) {
  const bool same_job = assign.job_uid() == job_uid_;
  const bool same_member = same_job && assign.member() == member_;
  registered_ = true;
  member_ = assign.member();
  if (!same_job || (!built_ && !building_)) {
    job_uid_ = assign.job_uid();
    built_.reset();
    building_ = true;
    holds_state_ = false;
    BeginAnew();
    spec_json_ = assign.spec_json();
    spec_changed_ = false;
    return parts_.Build(assign);
  }
  OnSpec(assign.spec_json());  // it may have changed while there was no stream
  if (building_) return;       // OnBuilt goes on with the new id
  parts_.leases()->SetConnected(true);
  if (same_member) return;
  BeginAnew();
  parts_.BecomeMember(member_);
  SendBuilt();
}

void Session::OnSpec(const std::string& spec_json) {
  if (spec_json == spec_json_) return;
  spec_json_ = spec_json;
  spec_changed_ = true;
  TellSpec();
}

void Session::TellSpec() {
  if (built_ && std::exchange(spec_changed_, false)) parts_.SetSpec(spec_json_);
}

void Session::BeginAnew() {
  admitted_ = false;
  finishing_ = false;
  view_ = {};
  starting_.reset();
  next_start_.reset();
  requests_.clear();
  unstarted_before_ = 0;
}

void Session::OnBuilt(const std::string& job_uid, const proto::Built& built) {
  if (!Awaits(job_uid)) return;
  building_ = false;
  built_ = built;
  parts_.BecomeMember(member_);
  parts_.leases()->SetConnected(connected_);
  TellSpec();
  SendBuilt();
}

void Session::SendBuilt() {
  if (!registered_) return;  // the next Assign sends it
  proto::WorkerMessage message;
  *message.mutable_built() = *built_;
  Send(message);
}

void Session::OnUnfit(const std::string& job_uid, const std::string& reason,
                      const std::string& message) {
  if (!Awaits(job_uid)) return;
  building_ = false;
  proto::WorkerMessage unfit;
  unfit.mutable_unfit()->set_reason(reason);
  unfit.mutable_unfit()->set_message(message);
  if (registered_) Send(unfit);  // else the next Assign builds again
}

void Session::OnStart(const proto::Start& start) {
  admitted_ = false;
  finishing_ = false;
  starting_.reset();
  next_start_ = start;
  if (!beginning_) BeginNext();
}

// Two ways to start would write over each other's weights: one ends before the next begins.
void Session::BeginNext() {
  beginning_ = true;
  starting_ = *std::exchange(next_start_, std::nullopt);
  const bool keep = starting_->from() == proto::Start::FROM_HELD;
  if (keep && !holds_state_) {
    return OnStarted(absl::FailedPreconditionError("this worker holds no state"), 0);
  }
  // What is in memory from here on is nobody's progress until the roster takes it in.
  holds_state_ = keep;
  parts_.Begin(*starting_);
}

void Session::OnStarted(const absl::Status& status, double seconds) {
  const std::optional<proto::Start> start = EndStart();
  if (!start) return;
  proto::WorkerMessage message;
  if (status.ok()) {
    message.mutable_ready()->set_from(start->from());
    message.mutable_ready()->set_copy_seconds(seconds);
  } else {
    LogWarn("cannot start: {}", std::string(status.message()));
    // Whoever was named is of no use: ask for others, under a new id.
    message.mutable_leave()->set_reason(std::string(status.message()));
  }
  // On a stream that has not said who this is it would speak for somebody else.
  if (registered_) Send(message);
}

void Session::OnUnreadable(const absl::Status& why, const proto::Checkpoint& instead) {
  // What was announced when it was built is of no use to the next hub either.
  if (built_) *built_->mutable_checkpoint() = instead;
  const std::optional<proto::Start> start = EndStart();
  if (!start) return;
  LogWarn("cannot load a checkpoint: {}", std::string(why.message()));
  proto::WorkerMessage message;
  message.mutable_unreadable()->set_checkpoint_path(start->checkpoint_path());
  message.mutable_unreadable()->set_reason(std::string(why.message()));
  *message.mutable_unreadable()->mutable_instead() = instead;
  if (registered_) Send(message);
}

// The start that has come to its end, unless another one is to follow or nobody waits for it.
std::optional<proto::Start> Session::EndStart() {
  beginning_ = false;
  if (!next_start_) return std::exchange(starting_, std::nullopt);
  BeginNext();
  return std::nullopt;
}

void Session::OnView(const proto::View& view) {
  view_ = ToView(view);
  parts_.SetView(view_);
  if (admitted_) return;
  admitted_ = true;
  holds_state_ = true;
  if (!finishing_) parts_.Train();
}

void Session::OnLease(const proto::Lease& lease) {
  std::vector<train::BatchRange> ranges;
  for (const proto::BatchRange& range : lease.ranges()) {
    ranges.push_back({range.data_epoch(), range.first_batch(), range.end_batch()});
  }
  const absl::Status status = parts_.leases()->Add(lease.lease(), std::move(ranges));
  if (!status.ok()) LogError("a lease is of no use: {}", std::string(status.message()));
  asked_for_lease_ = false;
}

// A request may come again with a new stream: its answer, not its work, is what was lost.
bool Session::Begins(uint64_t id) {
  for (const Request& request : requests_) {
    if (request.id != id) continue;
    if (request.answer) Send(*request.answer);
    return false;
  }
  requests_.push_back({id, std::nullopt});
  if (requests_.size() > kAnswersKept) requests_.pop_front();
  return true;
}

// To a request of an earlier membership nobody waits for the answer, and ids may come again.
void Session::Answer(uint64_t id, const proto::WorkerMessage& message) {
  for (Request& request : requests_) {
    if (request.id != id) continue;
    request.answer = message;
    if (registered_) Send(message);  // else the hub asks again
    return;
  }
}

void Session::OnEvaluated(uint64_t id, const absl::Status& status, const proto::Evaluated& result) {
  proto::WorkerMessage message;
  *message.mutable_evaluated() = result;
  if (!status.ok()) {
    LogWarn("evaluation failed: {}", status.ToString());
    message.mutable_evaluated()->set_error(status.ToString());
  }
  Answer(id, message);
}

void Session::OnCheckpointWritten(const proto::CheckpointWritten& result) {
  proto::WorkerMessage message;
  *message.mutable_checkpoint_written() = result;
  Answer(result.id(), message);
}

void Session::OnFinalized(const proto::Finalized& result) {
  proto::WorkerMessage message;
  *message.mutable_finalized() = result;
  Answer(result.id(), message);
}

void Session::OnSliceEvaluated(const proto::SliceEvaluated& result) {
  proto::WorkerMessage message;
  *message.mutable_slice_evaluated() = result;
  Answer(result.id(), message);
}

void Session::Tick(Time now) {
  if (!connected_ || !registered_ || left_) return;
  const bool due = !reported_at_ || now - *reported_at_ >= kReportInterval;
  if (due) asked_for_lease_ = false;
  const bool low = LeasesRunLow() && !asked_for_lease_;
  if (low) asked_for_lease_ = true;
  const bool news = HasNews() && (due || now - *reported_at_ >= kNewsInterval);
  if (!due && !low && !news) return;
  reported_at_ = now;
  SendReport();
}

// The hub looks at what a member has when it reports; in two ticks at the present pace there would
// be nothing left.
bool Session::LeasesRunLow() {
  if (!admitted_ || finishing_) return false;
  const int64_t unstarted = parts_.leases()->unstarted();
  const int64_t used = std::max<int64_t>(0, unstarted_before_ - unstarted);
  unstarted_before_ = unstarted;
  return unstarted <= 2 * used;
}

bool Session::HasNews() const {
  return worked_off_ || (finishing_ && parts_.settled() != settled_);
}

void Session::SendReport() {
  proto::WorkerMessage message;
  proto::Report& report = *message.mutable_report();
  parts_.FillReport(report);
  if (train::LeaseQueue* leases = parts_.leases()) {
    FillLeases(leases->Progress(), *report.mutable_leases());
    report.set_number(leases->reports());
    report.set_lease_batches_left(static_cast<double>(leases->unstarted()));
  }
  worked_off_ = false;
  settled_ = report.settled();
  Send(message);
}

void Session::Leave(const std::string& reason) {
  if (left_) return;
  if (train::LeaseQueue* leases = parts_.leases()) {
    const std::vector<train::LeaseReturn> taken = leases->ReturnAll();
    if (registered_) SendReport();
    for (const train::LeaseReturn& lease : taken) Send(ReturnMessage(lease));
  }
  proto::WorkerMessage message;
  message.mutable_leave()->set_reason(reason);
  Send(message);
  left_ = true;
}

}  // namespace grapevine::control
