#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "operator/base/clock.h"
#include "operator/base/mutex.h"
#include "operator/controller/rate_limiter.h"
#include "operator/controller/reconciler.h"
#include "operator/controller/workqueue.h"

namespace grapevine::controller {

struct Taken {
  Request request;
  Duration waited{};  // since it was due
};

// The workqueue that threads share, with additions that take effect later. Of two times for one
// name the earlier wins. Time is the given clock's: with one that is set by hand, call Wake after
// setting it. Thread-safe.
class DelayingQueue {
 public:
  // `clock` must outlive the queue.
  explicit DelayingQueue(const Clock* clock, const RateLimiterOptions& options = {});

  void Add(const Request& request);
  void AddAfter(const Request& request, Duration delay);
  // After a failure; the delay grows until Forget.
  void AddRateLimited(const Request& request);
  void Forget(const Request& request);

  // Waits for a name; nullopt once the queue is shut down and nothing waits any more.
  std::optional<Taken> Take();
  // The same without waiting.
  std::optional<Taken> TryTake();
  // REQUIRES: `request` was taken and is not done.
  void Done(const Request& request);

  // Additions are ignored from now on, those that were to take effect later are dropped; what waits
  // is still handed out.
  void ShutDown();
  // The same, and returns when everything taken is done and nothing waits.
  void ShutDownWithDrain();

  void Wake();
  size_t waiting() const;
  size_t delayed() const;

 private:
  void AddAtLocked(const Request& request, Time at) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AddNowLocked(const Request& request, Time due) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void MoveDueLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::optional<Taken> TakeLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Clock* const clock_;

  mutable Mutex mutex_;
  CondVar changed_;
  Workqueue queue_ ABSL_GUARDED_BY(mutex_);
  RateLimiter limiter_ ABSL_GUARDED_BY(mutex_);
  std::set<std::pair<Time, Request>> later_ ABSL_GUARDED_BY(mutex_);
  std::map<Request, Time> time_of_ ABSL_GUARDED_BY(mutex_);    // the same entries by name
  std::map<Request, Time> due_since_ ABSL_GUARDED_BY(mutex_);  // of all that wait
  bool shut_down_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace grapevine::controller
