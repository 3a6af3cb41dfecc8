#include "operator/training_job/creation_pause.h"

#include <string>

#include "operator/controller/api_error.h"

namespace grapevine::training_job {
namespace {

bool IsBusy(const absl::Status& status) {
  const auto error = controller::ApiErrorOf(status);
  return error && error->http_status == 429;
}

}  // namespace

bool CreationPause::Begin(const absl::Status& created, int64_t generation, Time now) {
  const bool quota = absl::IsResourceExhausted(created) && !IsBusy(created);
  if (!quota && !absl::IsInvalidArgument(created) && !absl::IsPermissionDenied(created) &&
      !absl::IsFailedPrecondition(created)) {
    return false;
  }
  refusal_ = {.reason = quota ? "QuotaExceeded" : "PodRefused",
              .message = std::string(created.message())};
  generation_ = generation;
  end_ = now + kRefusedPause;
  return true;
}

std::optional<Refusal> CreationPause::At(int64_t generation, Time now) const {
  if (now >= end_ || generation != generation_) return std::nullopt;
  Refusal refusal = refusal_;
  refusal.left = end_ - now;
  return refusal;
}

}  // namespace grapevine::training_job
