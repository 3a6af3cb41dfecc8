#pragma once

#include <deque>
#include <map>
#include <string>

#include "operator/api/topology.pb.h"
#include "operator/topology/job_stats.h"

namespace grapevine::topology {

// What each member ever admitted has done, and who came and went: everything that JobStats says of
// members, exchanges and changes of the roster. The job's own rules never read it.
// Thread-compatible.
class Accounts {
 public:
  void Admit(MemberId id, const std::string& pod, double copy_seconds);
  // The last of a member's reports stands, also one that comes after it left.
  void Report(MemberId id, const v1::Report& report);
  void Leave(MemberId id, bool lost);
  void AddChange(RosterChange change);

  // Members, counts, exchanges, loss and changes. Sides are the graph's to say.
  void Fill(JobStats& stats) const;
  // Mean over the members alive, of those that have taken a step; NaN for none.
  double Loss() const;
  // As in Fill, at no cost.
  int64_t exchanges_completed() const { return exchanges_completed_; }
  // Estimate of sqrt(mean ||x_i - mean x||^2) over the members alive, from the distances that they
  // found in their last exchanges: for uniform pairs the mean of ||x_i - x_j||^2 is 2n/(n-1) of its
  // square.
  std::optional<double> ConsensusDistance() const;

  static constexpr size_t kMaxDeparted = 10'000;  // more are kept as sums alone

 private:
  struct Account {
    MemberStats stats;
    ExchangeTotals exchanges;
    double peer_distance = 0;
  };

  std::map<MemberId, Account> accounts_;
  size_t alive_ = 0;
  ExchangeTotals forgotten_;
  int64_t exchanges_completed_ = 0;
  int64_t joined_ = 0;
  int64_t left_ = 0;
  int64_t lost_ = 0;
  std::deque<RosterChange> changes_;
};

}  // namespace grapevine::topology
