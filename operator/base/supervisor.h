#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "operator/base/clock.h"
#include "operator/base/mutex.h"

namespace grapevine {

// One thing that a process starts and stops: a server, a thread, a child process.
struct Part {
  std::string name;  // appears in front of its errors
  std::function<absl::Status()>
      start;  // returns once the part does its work, or with the reason why not
  std::function<absl::Status()> stop;  // ends within a bound of its own; runs at most once a start
};

// Starts the parts of a process in a written order and stops them in the reverse one, so that a
// part may use all those before it for as long as it runs. A start that fails stops what was
// started. The first error sticks: Start, Stop and error() report it, whatever goes wrong after it.
//
// Not a process supervisor: nothing is started again. Start and Stop belong to one thread, usually
// main(); Fail, error and WaitUntil may be called by any. Thread-safe apart from that.
class Supervisor {
 public:
  // REQUIRES: each part has a name and both functions.
  explicit Supervisor(std::vector<Part> parts);
  // Stops what still runs.
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // REQUIRES: called once.
  absl::Status Start() ABSL_LOCKS_EXCLUDED(mutex_);

  // Stops every running part, also when one of them cannot be stopped in order. Again: does
  // nothing. Returns the first error of the process's whole life.
  absl::Status Stop() ABSL_LOCKS_EXCLUDED(mutex_);

  // A part that runs reports that it cannot go on. Stops nothing by itself (it may be called on a
  // thread that stopping would join): it wakes WaitUntil. REQUIRES: !status.ok().
  void Fail(std::string_view part, const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);

  // The first error, or Ok.
  absl::Status error() const ABSL_LOCKS_EXCLUDED(mutex_);

  // Returns error() as soon as there is one, Ok once `deadline` has passed.
  absl::Status WaitUntil(Time deadline) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  const std::vector<Part> parts_;
  std::size_t running_ = 0;  // parts_[0, running_) have started; the thread of Start and Stop alone

  mutable Mutex mutex_;
  CondVar failed_;
  absl::Status error_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace grapevine
