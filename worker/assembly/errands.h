#pragma once

#include <deque>
#include <functional>
#include <thread>

#include "operator/base/mutex.h"

namespace grapevine::assembly {

// Runs what takes long, one thing after the other, on a thread of its own. Thread-safe.
class Errands {
 public:
  Errands() : thread_([this] { Run(); }) {}
  ~Errands() { Stop(); }

  // Drops what has not begun, waits for the errand under way and ends the thread. Idempotent; not
  // from an errand.
  void Stop() {
    std::deque<std::function<void()>> dropped;
    {
      MutexLock lock(mutex_);
      ending_ = true;
      dropped.swap(waiting_);
    }
    changed_.NotifyAll();
    dropped.clear();  // unlocked: what they hold may post as it ends
    if (thread_.joinable()) thread_.join();
  }

  // Dropped after Stop.
  void Post(std::function<void()> errand) {
    MutexLock lock(mutex_);
    if (!ending_) waiting_.push_back(std::move(errand));
    changed_.NotifyAll();
  }

 private:
  void Run() {
    MutexLock lock(mutex_);
    while (true) {
      while (waiting_.empty() && !ending_) changed_.Wait(mutex_);
      if (waiting_.empty()) return;
      const std::function<void()> errand = std::move(waiting_.front());
      waiting_.pop_front();
      mutex_.Unlock();
      errand();
      mutex_.Lock();
    }
  }

  Mutex mutex_;
  CondVar changed_;
  std::deque<std::function<void()>> waiting_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace grapevine::assembly
