#pragma once

#include <optional>
#include <string>

#include "nlohmann/json.hpp"
#include "operator/base/clock.h"

namespace grapevine::controller {

// What a Lease of coordination.k8s.io/v1 says.
struct LeaseRecord {
  std::string holder;  // empty: released
  Duration length{};   // without a renewal, until somebody else may take it
  int transitions = 0;
  std::string version;  // metadata.resourceVersion

  bool operator==(const LeaseRecord&) const = default;
};

// Fields of another type are left at their defaults: whoever wrote it, it runs out.
LeaseRecord ReadLease(const nlohmann::json& lease);

struct LeaderOptions {
  std::string identity;            // unique among the candidates
  Duration length = 15s;           // of the lease
  Duration renew_deadline = 10s;   // without a renewal, until the leader gives up; < length
  Duration retry = 2s;             // between renewals; < renew_deadline
  Duration look_interval = 500ms;  // of a candidate at the record
};

// Who leads, and what to do about it next. Pure: it is told what was read or written, and when.
//
// A candidate judges a lease by its own clock, from when it last saw the record change, never by
// the times in the record, so that clocks need not agree. A leader gives up renew_deadline after
// the start of its last good renewal, which is earlier than anybody may take over: length after
// that write. Clocks that run at rates more than length / renew_deadline apart break this; and a
// lease is no fence: a process that stands still may write once more after it has lost. So every
// write must be one that a second leader can take (see training_job/apply.h). Thread-compatible.
class LeaderState {
 public:
  enum class Step {
    kWait,
    kRead,    // the record
    kCreate,  // it, as ours
    kTake,    // write it as ours over the version that was read
    kRenew,   // write it anew over the version that was written last
    kLost,    // stop all work; final
  };
  struct Next {
    Step step;
    Time until{};  // of kWait
  };

  explicit LeaderState(LeaderOptions options);

  Next NextStep(Time now) const;
  bool leading() const { return leading_; }
  // To be written by kCreate, kTake and kRenew, but for its times; and to release it.
  LeaseRecord Ours() const;
  LeaseRecord Released() const;
  std::string version() const { return seen_ ? seen_->version : ""; }

  // nullopt: there is none.
  void OnRead(const std::optional<LeaseRecord>& record, Time now);
  // `began`: when the write was begun, since from then on others may count.
  void OnWritten(const LeaseRecord& record, Time began);
  // A conflict, or the record was there or was gone: read it again at once.
  void OnConflict();
  // No answer, or one that says nothing about the record.
  void OnFailed(Time now);

 private:
  Next NextAsLeader(Time now) const;
  Next NextAsCandidate(Time now) const;

  LeaderOptions options_;
  bool leading_ = false;
  bool lost_ = false;
  std::optional<LeaseRecord> seen_;
  bool known_ = false;  // seen_ was read or written since the last conflict
  Time changed_at_{};   // when seen_ was seen to change
  Time looked_at_{};    // when it was last read, as a candidate
  Time renewed_at_{};   // as leader
  Time not_before_{};   // after a failure
};

}  // namespace grapevine::controller
