// The part of Job that is about the end of training: finish, idle, finalize and the evaluation that
// the members share.

#include <utility>

#include "fmt/format.h"
#include "operator/base/log.h"
#include "operator/topology/job.h"

namespace grapevine::topology {
namespace {

// Where one member alone would be longer about the evaluation than this, it is shared: below, the
// others would hardly have copied the weights.
constexpr double kShareFromSeconds = 2;
constexpr int64_t kMostTestSamples = 1'000'000'000;

}  // namespace

void Job::SendToMembers(const HubMessage& message) {
  for (auto& [id, registrant] : registrants_) {
    if (registrant.standing == Standing::kMember) Send(registrant, message);
  }
}

void Job::SendFinish(Time now) {
  if (state_.finish_since) return;
  state_.finish_since = now;
  for (auto& [id, registrant] : registrants_) registrant.settled = false;
  HubMessage message;
  message.mutable_finish();
  SendToMembers(message);
}

void Job::SendIdle() {
  if (std::exchange(state_.idle, true)) return;
  HubMessage message;
  message.mutable_idle();
  SendToMembers(message);
}

void Job::ForgetFinalize() {
  state_.finalize.reset();
  finalize_.reset();
  final_evaluation_.reset();
  slices_.clear();
}

bool Job::OnFinalized(const Registrant& registrant, const v1::Finalized& finalized) {
  const bool asked = state_.finalize && state_.finalize->member == registrant.id && finalize_ &&
                     finalize_->finalize().id() == finalized.id();
  if (!asked) return false;
  const int64_t samples = finalized.test_samples();
  if (!finalized.error().empty()) return FailFinalize(finalized.error());
  if (samples < 1 || samples > kMostTestSamples) {
    return FailFinalize(fmt::format("finalized.test_samples: found {}, allowed is 1 to {}", samples,
                                    kMostTestSamples));
  }
  std::set<MemberId> members{registrant.id};
  if (finalized.evaluation_seconds() >= kShareFromSeconds) {
    for (const auto& [id, other] : registrants_) {
      if (other.standing == Standing::kMember && other.sink) members.insert(id);
    }
  }
  LogInfo("member {} has the final weights; {} evaluate {} samples, alone about {:.1f} s",
          registrant.id, members.size(), samples, finalized.evaluation_seconds());
  finalized_as_ = finalized.id();
  final_checkpoint_ = finalized.checkpoint_path();
  finalize_.reset();
  final_evaluation_.emplace(registrant.id, samples, members);
  ServeSlices();
  return false;
}

bool Job::FailFinalize(const std::string& error) {
  LogError("member {} could not finalize: {}", state_.finalize->member, error);
  ForgetFinalize();
  ++state_.finalize_errors;
  state_.final_result = Snapshot::Final{.error = error};
  return true;
}

// To whoever can do with one, the finalizer last: others may have given back what it would double.
void Job::ServeSlices() {
  const MemberId finalizer = final_evaluation_->finalizer();
  const Registrant* source = Find(finalizer);
  if (source == nullptr) return;
  const auto serve = [&](MemberId id) {
    Registrant* member = Find(id);
    if (member == nullptr || !member->sink) return;
    const auto slice = final_evaluation_->Take(id);
    if (!slice) return;
    HubMessage& message = slices_[id];
    v1::EvaluateSlice& request = *message.mutable_evaluate_slice();
    request.set_id(next_request_++);
    request.set_finalize(finalized_as_);
    request.mutable_finalizer()->set_member(finalizer);
    request.mutable_finalizer()->set_address(source->address);
    request.set_first_sample(slice->first);
    request.set_end_sample(slice->end);
    Send(*member, message);
  };
  for (const MemberId id : final_evaluation_->members()) {
    if (id != finalizer) serve(id);
  }
  serve(finalizer);
}

bool Job::OnSliceEvaluated(const Registrant& registrant, const v1::SliceEvaluated& evaluated,
                           Time now) {
  auto sent = slices_.find(registrant.id);
  if (sent == slices_.end() || sent->second.evaluate_slice().id() != evaluated.id()) return false;
  const v1::EvaluateSlice& asked = sent->second.evaluate_slice();
  const int64_t samples = asked.end_sample() - asked.first_sample();
  slices_.erase(sent);
  std::string error = evaluated.error();
  if (error.empty() && (evaluated.correct() < 0 || evaluated.correct() > samples)) {
    error = fmt::format("slice_evaluated.correct: found {}, allowed is 0 to {}",
                        evaluated.correct(), samples);
  }
  if (!error.empty()) {
    if (registrant.id == final_evaluation_->finalizer()) return FailFinalize(error);
    LogWarn("member {} takes no part in the evaluation: {}", registrant.id, error);
    final_evaluation_->Remove(registrant.id);
  } else {
    final_evaluation_->Answer(registrant.id, evaluated.loss_sum(), evaluated.correct());
  }
  if (final_evaluation_->finished()) return EndFinalize(now);
  ServeSlices();
  return false;
}

bool Job::EndFinalize(Time now) {
  const FinalEvaluation& done = *final_evaluation_;
  state_.final_result = Snapshot::Final{.loss = done.loss(),
                                        .accuracy = done.accuracy(),
                                        .samples = done.samples(),
                                        .checkpoint = final_checkpoint_};
  result_ = Evaluation{.member = done.finalizer(),
                       .data_epochs = desk_ ? desk_->ledger().ScheduleFraction() : 0,
                       .loss = done.loss(),
                       .accuracy = done.accuracy(),
                       .samples = done.samples(),
                       .at = now};
  ForgetFinalize();
  return true;
}

}  // namespace grapevine::topology
