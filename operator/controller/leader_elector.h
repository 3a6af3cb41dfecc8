#pragma once

#include <functional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "operator/base/clock.h"
#include "operator/base/mutex.h"
#include "operator/controller/api_client.h"
#include "operator/controller/leader_state.h"

namespace grapevine::controller {

struct LeaderElectorOptions {
  LeaderOptions leader;
  std::string name_space;  // of the Lease
  std::string name;
  std::function<std::chrono::system_clock::time_point()> wall;  // for the record's times
};

// Takes part in the election of one leader by a Lease, on a thread of its own. Once it leads it
// renews; once it has lost it leads no more, and the process should end: its work must have stopped
// before anybody starts this again. See LeaderState for what a lease promises. Thread-safe.
class LeaderElector {
 public:
  // `client` and `clock` must outlive it.
  LeaderElector(ApiClient* client, const Clock* clock, LeaderElectorOptions options);
  ~LeaderElector();

  // REQUIRES: called once.
  void Start();
  // Ends the election. Whoever leads gives the lease back, so that another need not wait for it to
  // run out. REQUIRES: the work of the leader has stopped.
  void Stop();

  // Waits until this process leads; false when `deadline` passed first or Stop was called.
  bool WaitForLead(Time deadline);
  bool leading() const;
  bool lost() const;
  // Of a leader whose lease has run out unrenewed for long: its thread hangs, and the process
  // should be ended from outside.
  absl::Status Health() const;

 private:
  void Run();
  void Read();
  void Write(LeaderState::Step step);
  absl::StatusOr<nlohmann::json> Put(const LeaseRecord& record, bool create);
  void Wait(Time until);
  void Release();
  bool OverdueLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  ApiClient* const client_;
  const Clock* const clock_;
  const LeaderElectorOptions options_;

  mutable Mutex mutex_;
  CondVar changed_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  bool leading_ ABSL_GUARDED_BY(mutex_) = false;
  bool lost_ ABSL_GUARDED_BY(mutex_) = false;
  Time renewed_at_ ABSL_GUARDED_BY(mutex_){};

  LeaderState state_;        // of the thread alone
  nlohmann::json last_;      // the Lease as last seen; of the thread alone
  std::string acquired_at_;  // of the thread alone
  std::thread thread_;       // set by Start, joined by Stop
};

}  // namespace grapevine::controller
