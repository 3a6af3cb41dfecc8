#include "worker/assembly/slice_evaluator.h"

#include <utility>

#include "operator/base/log.h"

namespace grapevine::assembly {

namespace proto = topology::v1;

SliceEvaluator::SliceEvaluator(uint64_t member, std::shared_ptr<JobParts> job,
                               std::function<void(const Work&)> post)
    : member_(member), job_(std::move(job)), post_(std::move(post)) {}

void SliceEvaluator::Evaluate(const proto::EvaluateSlice& request) {
  if (request.finalizer().member() == member_) return Begin(request, nullptr);
  if (copying_) {
    waiting_ = request;
  } else if (copy_ != nullptr && copy_of_ == request.finalize()) {
    Begin(request, copy_);
  } else {
    waiting_ = request;
    Copy();
  }
}

void SliceEvaluator::Copy() {
  copying_ = true;
  copy_of_ = waiting_.finalize();
  copy_ = std::make_shared<store::ParameterStore>(job_->store->elements(),
                                                  job_->store->ChunkElements(0));
  const proto::Peer& finalizer = waiting_.finalizer();
  job_->driver->CopyState(
      {{finalizer.member(), finalizer.address()}}, *copy_,
      [self = shared_from_this(), into = copy_](const absl::Status& status) {
        self->post_([self, status](control::Session& session) { self->OnCopied(status, session); });
      });
}

void SliceEvaluator::OnCopied(const absl::Status& status, control::Session& session) {
  copying_ = false;
  if (copy_of_ != waiting_.finalize()) return Copy();
  if (status.ok()) return Begin(waiting_, copy_);
  copy_.reset();
  LogWarn("no copy of the final weights: {}", std::string(status.message()));
  proto::SliceEvaluated result;
  result.set_id(waiting_.id());
  result.set_error(std::string(status.message()));
  session.OnSliceEvaluated(result);
}

void SliceEvaluator::Begin(const proto::EvaluateSlice& request,
                           std::shared_ptr<const store::ParameterStore> weights) {
  job_->trainer->EvaluateSlice(
      std::move(weights), {.first = request.first_sample(), .end = request.end_sample()},
      [self = shared_from_this(), id = request.id()](const absl::StatusOr<train::SliceSums>& sums) {
        proto::SliceEvaluated result;
        result.set_id(id);
        if (sums.ok()) {
          result.set_loss_sum(sums->loss);
          result.set_correct(sums->correct);
        } else {
          result.set_error(std::string(sums.status().message()));
        }
        self->post_([result](control::Session& session) { session.OnSliceEvaluated(result); });
      });
}

}  // namespace grapevine::assembly
