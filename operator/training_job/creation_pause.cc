#include "operator/training_job/creation_pause.h"

#include <string>

#include "operator/controller/api_error.h"

namespace grapevine::training_job {
namespace {

// ResourceExhausted also says that the server is busy.
bool IsQuota(const absl::Status& status) {
  const auto error = controller::ApiErrorOf(status);
  return absl::IsResourceExhausted(status) && !(error && error->http_status == 429);
}

}  // namespace

bool IsRefusal(const absl::Status& created) {
  return IsQuota(created) || absl::IsInvalidArgument(created) ||
         absl::IsPermissionDenied(created) || absl::IsFailedPrecondition(created);
}

bool CreationPause::Begin(const absl::Status& created, int64_t generation, Time now) {
  if (!IsRefusal(created)) return false;
  refusal_ = {.reason = IsQuota(created) ? "QuotaExceeded" : "PodRefused",
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
