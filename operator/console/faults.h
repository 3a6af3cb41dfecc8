#pragma once

#include <functional>
#include <map>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "operator/base/clock.h"
#include "operator/base/mutex.h"

namespace grapevine::console {

// What keys and scripted events do to worker processes: kill, slow down, pause. A slowed process
// runs for the first 1/factor of every 100 ms and is stopped for the rest. Whoever is stopped when
// this object dies is set going again. Thread-safe; owns one thread, which sends the signals that
// are due.
class Faults {
 public:
  // Sends `signal` to the process of `pod`; NotFound when it has none any more. Must not block.
  using Send = std::function<absl::Status(const std::string& pod, int signal)>;

  explicit Faults(Send send);
  ~Faults();
  Faults(const Faults&) = delete;
  Faults& operator=(const Faults&) = delete;

  absl::Status Kill(const std::string& pod);
  // factor >= 1; 1 ends the slowing.
  absl::Status Slow(const std::string& pod, double factor);
  absl::Status Pause(const std::string& pod, Duration length);

  enum class State { kRunning, kSlowed, kPaused };
  State StateOf(const std::string& pod) const;

 private:
  struct Victim {
    double factor = 1;
    Time paused_until{};
    bool stopped = false;
  };

  void Run();
  // Sends what is due at `now` and returns when something will be due next.
  Time SendDueLocked(Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Send send_;
  mutable Mutex mutex_;
  CondVar changed_;
  std::map<std::string, Victim> victims_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace grapevine::console
