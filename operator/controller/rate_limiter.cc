#include "operator/controller/rate_limiter.h"

#include <algorithm>

namespace grapevine::controller {

Duration RateLimiter::Delay(const Request& request, Time now) {
  const int failures = failures_[request]++;
  Duration own = options_.first_delay;
  for (int i = 0; i < failures && own < options_.last_delay; ++i) own *= 2;
  return std::max(std::min(own, options_.last_delay), FromBucket(now));
}

int RateLimiter::failures(const Request& request) const {
  const auto found = failures_.find(request);
  return found == failures_.end() ? 0 : found->second;
}

Duration RateLimiter::FromBucket(Time now) {
  const Duration one_token = FromSeconds(1 / options_.retries_per_second);
  bucket_full_at_ = std::max(bucket_full_at_, now) + one_token;
  return std::max(Duration::zero(), bucket_full_at_ - now - one_token * options_.burst);
}

}  // namespace grapevine::controller
