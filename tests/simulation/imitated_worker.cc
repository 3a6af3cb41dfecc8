#include "tests/simulation/imitated_worker.h"

#include <algorithm>

namespace grapevine::simulation {

using topology::v1::HubMessage;
using topology::v1::LeaseReturn;
using topology::v1::Start;
using topology::v1::WorkerMessage;

WorkerMessage ImitatedWorker::Register() const {
  WorkerMessage message;
  auto& registration = *message.mutable_register_();
  registration.set_namespace_(pod_.name_space);
  registration.set_job(pod_.job);
  registration.set_pod(pod_.name);
  registration.set_pod_uid(pod_.uid);
  registration.set_address(pod_.name + ":1");
  registration.set_member(member_);
  registration.set_job_uid(job_uid_);
  registration.set_holds_state(holds_state_);
  *registration.mutable_view() = view_;
  for (const auto& [id, held] : leases_) {
    if (held.batches == 0) continue;
    auto& claim = *registration.add_leases();
    claim.set_lease(id);
    for (const auto& range : held.ranges) {
      if (range.first_batch() < range.end_batch()) *claim.add_ranges() = range;
    }
    claim.set_batches_done(held.done);
    claim.set_finished(held.done >= held.batches);
  }
  if (member_ != 0) *registration.mutable_built() = Built();
  return message;
}

topology::v1::Built ImitatedWorker::Built() {
  topology::v1::Built built;
  built.set_layout_hash(7);
  built.set_samples(kSamples);
  return built;
}

void ImitatedWorker::OnAssign(const topology::v1::Assign& assign) {
  leases_.clear();
  admitted_ = finishing_ = false;
  member_ = assign.member();
  job_uid_ = assign.job_uid();
}

void ImitatedWorker::OnLease(const topology::v1::Lease& lease) {
  Held& held = leases_[lease.lease()];
  if (held.batches > 0) return;  // sent again
  for (const auto& range : lease.ranges()) {
    held.ranges.push_back(range);
    held.batches += range.end_batch() - range.first_batch();
  }
}

void ImitatedWorker::Forget(uint64_t report) {
  std::erase_if(leases_, [&](const auto& each) {
    return each.second.finished_in != 0 && each.second.finished_in <= report;
  });
}

LeaseReturn ImitatedWorker::HandBack(uint64_t lease) {
  Held& held = leases_[lease];
  held.batches = held.done;
  int64_t left = held.done;
  for (auto& range : held.ranges) {
    const int64_t kept = std::min(left, range.end_batch() - range.first_batch());
    range.set_end_batch(range.first_batch() + kept);
    left -= kept;
  }
  LeaseReturn answer;
  answer.set_lease(lease);
  answer.set_first_unused(held.done);
  answer.set_batches_done(held.done);
  return answer;
}

std::vector<WorkerMessage> ImitatedWorker::OnMessage(const HubMessage& message) {
  WorkerMessage answer;
  switch (message.kind_case()) {
    case HubMessage::kAssign:
      if (message.assign().member() == member_) return {};  // taken back as it is
      OnAssign(message.assign());
      *answer.mutable_built() = Built();
      break;
    case HubMessage::kProgress:
      Forget(message.progress().recorded_report());
      return {};
    case HubMessage::kStart:
      holds_state_ = holds_state_ && message.start().from() == Start::FROM_HELD;
      answer.mutable_ready()->set_from(message.start().from());
      break;
    case HubMessage::kView:
      if (message.view().epoch() > view_.epoch()) view_ = message.view();
      admitted_ = holds_state_ = true;
      return {};
    case HubMessage::kLease:
      OnLease(message.lease());
      return {};
    case HubMessage::kRecall:
      *answer.mutable_lease_return() = HandBack(message.recall().lease());
      break;
    case HubMessage::kEvaluate:
      answer.mutable_evaluated()->set_id(message.evaluate().id());
      answer.mutable_evaluated()->set_samples(kTestSamples);
      break;
    case HubMessage::kWriteCheckpoint:
      written_.push_back(message.write_checkpoint().path());
      answer.mutable_checkpoint_written()->set_id(message.write_checkpoint().id());
      answer.mutable_checkpoint_written()->set_path(message.write_checkpoint().path());
      break;
    case HubMessage::kFinish:
      finishing_ = true;
      return {};
    case HubMessage::kFinalize:
      answer.mutable_finalized()->set_id(message.finalize().id());
      answer.mutable_finalized()->set_checkpoint_path(message.finalize().checkpoint_path());
      answer.mutable_finalized()->set_test_samples(kTestSamples);
      break;
    case HubMessage::kEvaluateSlice:
      answer.mutable_slice_evaluated()->set_id(message.evaluate_slice().id());
      break;
    case HubMessage::kRefused:
      refused_ = true;
      return {};
    case HubMessage::kStop:
      stopped_ = true;
      return {};
    default:
      return {};
  }
  return {answer};
}

void ImitatedWorker::Train(int64_t batches) {
  if (!admitted_ || finishing_) return;
  for (auto& [id, held] : leases_) {
    const int64_t now = std::min(batches, held.batches - held.done);
    held.done += now;
    batches_done_ += now;
    batches -= now;
  }
}

std::optional<WorkerMessage> ImitatedWorker::Report() {
  if (member_ == 0) return std::nullopt;
  WorkerMessage message;
  auto& report = *message.mutable_report();
  report.set_steps(batches_done_);
  report.set_samples(batches_done_ * 32);
  report.set_samples_per_second(640);
  report.set_settled(finishing_);
  report.set_view_epoch(view_.epoch());
  report.set_number(++reports_);
  for (auto& [id, held] : leases_) {
    auto& lease = *report.add_leases();
    lease.set_lease(id);
    lease.set_batches_done(held.done);
    if (held.done >= held.batches && held.finished_in == 0) held.finished_in = reports_;
  }
  return message;
}

WorkerMessage ImitatedWorker::Leave() const {
  WorkerMessage message;
  message.mutable_leave()->set_reason("told to end");
  return message;
}

}  // namespace grapevine::simulation
