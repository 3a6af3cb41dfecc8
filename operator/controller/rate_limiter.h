#pragma once

#include <map>

#include "operator/base/clock.h"
#include "operator/controller/reconciler.h"

namespace grapevine::controller {

struct RateLimiterOptions {
  Duration first_delay = 5ms;  // doubled by each failure of one name
  Duration last_delay = 1000s;
  double retries_per_second = 10;  // of all names together, once the burst is used up
  int burst = 100;
};

// How long a name that failed waits: the longer of its own exponential backoff and of what a bucket
// shared by all names allows. Thread-compatible.
class RateLimiter {
 public:
  explicit RateLimiter(const RateLimiterOptions& options) : options_(options) {}

  // Counts one more failure of `request`.
  Duration Delay(const Request& request, Time now);
  // After success; without it the backoff would stay for ever.
  void Forget(const Request& request) { failures_.erase(request); }
  int failures(const Request& request) const;

 private:
  Duration FromBucket(Time now);

  const RateLimiterOptions options_;
  std::map<Request, int> failures_;
  Time bucket_full_at_{};  // the bucket refills steadily; this one time is all its state
};

}  // namespace grapevine::controller
