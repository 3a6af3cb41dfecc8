#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "operator/base/clock.h"
#include "operator/base/mutex.h"
#include "operator/topology/directives.h"
#include "operator/topology/job_config.h"
#include "operator/topology/job_record.h"
#include "operator/topology/job_stats.h"
#include "operator/topology/sink.h"
#include "operator/topology/snapshot.h"

namespace grapevine::topology {

class Job;

using SessionId = uint64_t;  // of one stream; never used again

// Where members meet the operator: it holds each job's registrants, graph, epoch, leases and
// progress, takes the members' messages and sends them the hub's. It follows the rules of others:
// who is a member and what the graph is, the reconciler decides from Observe and says with Apply;
// who trains on what, the ledger decides. Only leases are granted and recalled in here, since
// nobody may wait for a reconcile with them.
//
// Any number of jobs. Sends never wait, so that one slow worker holds up nobody. Thread-safe. A
// message costs O(log members); Apply of a new graph O(views changed).
class Hub {
 public:
  // `on_change(job)`: something happened that the reconciler should look at. Called without the
  // lock, from whichever thread brought the news; it must only enqueue. `clock` must outlive the
  // hub.
  Hub(const Clock& clock, std::function<void(const JobKey&)> on_change);
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  // --- the streams ---

  SessionId Connect(std::shared_ptr<Sink> sink);
  // A message that makes no sense where it comes closes the stream; unknown sessions are ignored.
  void OnMessage(SessionId session, const WorkerMessage& message);
  void OnDisconnect(SessionId session);

  // --- the reconciler: one at a time per job ---

  // Whether EnsureJob was called for this uid.
  bool Knows(const JobKey& job, const std::string& uid) const;
  // Makes the job known, or updates its config. Until then its workers are turned away, to try
  // again. A new uid is a new job: the old one's members are stopped. `before`, what an earlier hub
  // left of it, counts for a job that is not known yet.
  void EnsureJob(const JobKey& job, const JobConfig& config, const JobRecord& before = {});
  // Stops whoever is connected and drops all that is known. No-op for an unknown job.
  void Forget(const JobKey& job, const std::string& reason);

  // REQUIRES for all below: EnsureJob; an unknown job is observed as an empty one, and directives
  // are dropped.
  Snapshot Observe(const JobKey& job);
  // Carries out all of it at once. Returns the epoch in force.
  uint64_t Apply(const JobKey& job, const Directives& directives);

  // What to leave to a later hub, as of now.
  JobRecord Record(const JobKey& job);
  // The last Record was written. True when the samples are used up and that is on record now, not
  // before.
  bool NoteRecorded(const JobKey& job);

  // --- everyone ---

  JobStats Stats(const JobKey& job) const;

  // Recalls that were not answered, progress each second, lateness. At least every 100 ms while
  // jobs run; a Tick that is late itself calls nobody late (see Snapshot).
  void Tick();

  static constexpr Duration kTickInterval = 100ms;

 private:
  struct Session;

  Job* FindJobLocked(const JobKey& key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RegisterLocked(Session& session, const v1::Register& registration, Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Lateness is judged by a clock that stands still while the hub itself was not running.
  void ForgiveOwnPauseLocked(Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Clock& clock_;
  const uint64_t
      first_request_;  // a number of its own: workers may know others of an earlier hub's
  const std::function<void(const JobKey&)> on_change_;

  mutable Mutex mutex_;
  std::map<SessionId, Session> sessions_ ABSL_GUARDED_BY(mutex_);
  std::map<JobKey, std::unique_ptr<Job>> jobs_ ABSL_GUARDED_BY(mutex_);
  SessionId next_session_ ABSL_GUARDED_BY(mutex_) = 1;
  Time last_tick_ ABSL_GUARDED_BY(mutex_){};
};

}  // namespace grapevine::topology
