#include "operator/controller/list_watch_state.h"

#include <algorithm>
#include <utility>

#include "operator/base/backoff.h"
#include "operator/controller/api_error.h"

namespace grapevine::controller {
namespace {

constexpr BackoffOptions kBackoff{.initial = 1600ms, .factor = 2, .max = 60s, .jitter = 0.5};
constexpr Duration kCalm = 120s;
constexpr Duration kShortWatch = 1s;
constexpr int kGone = 410;
constexpr int kTooManyRequests = 429;

Duration RetryAfterOf(const absl::Status& status) {
  const std::optional<ApiError> error = ApiErrorOf(status);
  return error && error->retry_after ? *error->retry_after : Duration{};
}

}  // namespace

ListWatchState::Next ListWatchState::NextStep(Time now) const {
  if (now < not_before_) return {Step::kWait, not_before_};
  return {must_list_ ? Step::kList : Step::kWatch};
}

std::string ListWatchState::list_version() const {
  return must_be_newest_ ? "" : resource_version_;
}

void ListWatchState::OnListed(std::string resource_version) {
  must_list_ = false;
  must_be_newest_ = false;
  fresh_list_ = true;
  resource_version_ = std::move(resource_version);
}

void ListWatchState::OnListFailed(const absl::Status& status, Time now) {
  if (absl::IsOutOfRange(status) && !must_be_newest_) {
    must_be_newest_ = true;
    return;
  }
  BackOff(now, RetryAfterOf(status));
}

void ListWatchState::OnWatchOpened(Time now) {
  watch_opened_ = now;
  watch_brought_something_ = false;
}

void ListWatchState::OnWatchRefused(const absl::Status& status, Time now) {
  if (status.code() == absl::StatusCode::kOutOfRange) {
    must_list_ = true;
    must_be_newest_ = true;
    // A server that lists versions it has already dropped would otherwise be asked without end.
    if (fresh_list_) BackOff(now);
    return;
  }
  must_list_ = status.code() != absl::StatusCode::kUnavailable &&
               status.code() != absl::StatusCode::kDeadlineExceeded &&
               status.code() != absl::StatusCode::kResourceExhausted;
  BackOff(now, RetryAfterOf(status));
}

void ListWatchState::OnEvent(std::string resource_version) {
  fresh_list_ = false;
  watch_brought_something_ = true;
  if (!resource_version.empty()) resource_version_ = std::move(resource_version);
}

void ListWatchState::OnWatchEnded(int code, Time now, Duration retry_after) {
  if (code == kGone) {
    OnWatchRefused(absl::OutOfRangeError(""), now);
  } else if (code == kTooManyRequests || code >= 500) {
    BackOff(now, retry_after);
  } else if (code >= 300) {
    must_list_ = true;
    BackOff(now);
  } else if (!watch_brought_something_ && now - watch_opened_ < kShortWatch) {
    BackOff(now);
  }
}

void ListWatchState::BackOff(Time now, Duration at_least) {
  if (failures_ > 0 && now - last_failure_ > kCalm) failures_ = 0;
  not_before_ = now + std::max(at_least, Backoff(kBackoff, failures_, rng_));
  last_failure_ = not_before_;
  ++failures_;
}

}  // namespace grapevine::controller
