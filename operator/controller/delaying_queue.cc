#include "operator/controller/delaying_queue.h"

#include <utility>

namespace grapevine::controller {

DelayingQueue::DelayingQueue(const Clock* clock, const RateLimiterOptions& options)
    : clock_(clock), limiter_(options) {}

void DelayingQueue::Add(const Request& request) {
  MutexLock lock(mutex_);
  if (shut_down_) return;
  AddNowLocked(request, clock_->Now());
}

void DelayingQueue::AddAfter(const Request& request, Duration delay) {
  MutexLock lock(mutex_);
  if (shut_down_) return;
  const Time now = clock_->Now();
  if (delay <= Duration::zero()) {
    AddNowLocked(request, now);
  } else {
    AddAtLocked(request, now + delay);
  }
}

void DelayingQueue::AddRateLimited(const Request& request) {
  MutexLock lock(mutex_);
  if (shut_down_) return;
  const Time now = clock_->Now();
  AddAtLocked(request, now + limiter_.Delay(request, now));
}

void DelayingQueue::Forget(const Request& request) {
  MutexLock lock(mutex_);
  limiter_.Forget(request);
}

std::optional<Taken> DelayingQueue::Take() {
  MutexLock lock(mutex_);
  while (true) {
    MoveDueLocked();
    if (std::optional<Taken> taken = TakeLocked()) return taken;
    if (shut_down_) return std::nullopt;
    if (later_.empty()) {
      changed_.Wait(mutex_);
    } else {
      changed_.WaitUntil(mutex_, later_.begin()->first);
    }
  }
}

std::optional<Taken> DelayingQueue::TryTake() {
  MutexLock lock(mutex_);
  MoveDueLocked();
  return TakeLocked();
}

void DelayingQueue::Done(const Request& request) {
  MutexLock lock(mutex_);
  queue_.Done(request);
  changed_.NotifyAll();
}

void DelayingQueue::ShutDown() {
  MutexLock lock(mutex_);
  shut_down_ = true;
  later_.clear();
  time_of_.clear();
  changed_.NotifyAll();
}

void DelayingQueue::ShutDownWithDrain() {
  ShutDown();
  MutexLock lock(mutex_);
  while (queue_.taken() > 0 || queue_.waiting() > 0) changed_.Wait(mutex_);
}

void DelayingQueue::Wake() {
  MutexLock lock(mutex_);
  changed_.NotifyAll();
}

size_t DelayingQueue::waiting() const {
  MutexLock lock(mutex_);
  return queue_.waiting();
}

size_t DelayingQueue::delayed() const {
  MutexLock lock(mutex_);
  return later_.size();
}

void DelayingQueue::AddNowLocked(const Request& request, Time due) {
  if (!queue_.Add(request)) return;
  due_since_.emplace(request, due);
  changed_.NotifyAll();
}

void DelayingQueue::AddAtLocked(const Request& request, Time at) {
  const auto [entry, is_new] = time_of_.emplace(request, at);
  if (!is_new) {
    if (entry->second <= at) return;
    later_.erase({entry->second, request});
    entry->second = at;
  }
  later_.emplace(at, request);
  changed_.NotifyAll();
}

void DelayingQueue::MoveDueLocked() {
  const Time now = clock_->Now();
  while (!later_.empty() && later_.begin()->first <= now) {
    const auto [due, request] = *later_.begin();
    later_.erase(later_.begin());
    time_of_.erase(request);
    AddNowLocked(request, due);
  }
}

std::optional<Taken> DelayingQueue::TakeLocked() {
  std::optional<Request> request = queue_.Take();
  if (!request) return std::nullopt;
  const auto since = due_since_.extract(*request);
  return Taken{.request = *std::move(request), .waited = clock_->Now() - since.mapped()};
}

}  // namespace grapevine::controller
