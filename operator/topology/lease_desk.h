#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "operator/api/topology.pb.h"
#include "operator/base/clock.h"
#include "operator/progress/leases.h"
#include "operator/topology/sink.h"

namespace grapevine::topology {

using api::MemberId;

// Sees to it that every member has batches in hand, as far as there are any: grants before the last
// lease runs out, recalls when nothing is left to grant, grants again what comes back. What is done
// and who owns what is the ledger's to know. Thread-compatible.
class LeaseDesk {
 public:
  // `send` takes messages to members that have a stream.
  LeaseDesk(const progress::LedgerOptions& options,
            std::function<void(MemberId, const HubMessage&)> send);

  // Who may be granted leases: members with a stream.
  void AddMember(MemberId member, Time now);
  // It keeps what it has, but gets no more.
  void RemoveMember(MemberId member);
  // What it has and did not report is free for others.
  void Release(MemberId member, Time now);

  // Credits what is done and grants more where that will not last.
  void OnReport(MemberId member, const v1::Report& report, Time now);
  // Answers to Recall, and what a leaver hands back.
  void OnReturn(MemberId member, const v1::LeaseReturn& answer, Time now);
  // A member of an earlier hub's came with these leases, which are taken over as far as nobody else
  // has them. OnResume goes on from there.
  void Adopt(MemberId member, const v1::Register& registration);
  // A member is back on a new stream, with these leases: what it lacks is sent again, what is no
  // longer its own is taken back.
  void OnResume(MemberId member, const v1::Register& registration, Time now);

  void SetGranting(bool granting, Time now);
  void Tick(Time now);
  void Forgive(Duration pause) { ledger_.Forgive(pause); }

  // An empty roster begins again.
  void Reset();
  absl::Status Restore(const v1::JobProgress& progress);

  absl::Status Restore(const progress::Progress& progress);

  v1::JobProgress Progress() const;
  const progress::Ledger& ledger() const { return ledger_; }

  // A member with less in hand is granted more: a report's interval, and as much again.
  static constexpr Duration kEnough = 2s;
  static constexpr size_t kMostLeases = 8;         // held by one member
  static constexpr Duration kRecallPause = 100ms;  // between recalls for the same idle member

 private:
  int64_t BatchesLeft(MemberId member) const;
  bool HasEnough(MemberId member) const;
  void Credit(MemberId member, uint64_t lease, int64_t batches_done, Time now);
  void DropIfDone(MemberId member, uint64_t lease);
  void Serve(MemberId member, Time now);
  void Recall(MemberId idle, Time now);
  void ServeHungry(Time now, MemberId last = 0);
  double SecondsLeft(MemberId member, int64_t batches) const;

  const progress::LedgerOptions options_;
  const std::function<void(MemberId, const HubMessage&)> send_;
  progress::Ledger ledger_;
  std::set<MemberId> members_;
  std::set<MemberId> hungry_;  // of members_, those for whom nothing was free
  std::map<MemberId, double> rates_;
  std::map<MemberId, int64_t> steps_;  // as last reported
  std::set<MemberId> hung_;  // a lease of theirs expired, and no step was reported since: no more
  std::map<MemberId, Time> recalled_at_;  // by the member that was idle
  // The leases out, as the ledger has them, by owner: it would have to look through all of them.
  struct Held {
    int64_t batches = 0;
    int64_t done = 0;
  };
  std::map<MemberId, std::map<uint64_t, Held>> held_;
};

}  // namespace grapevine::topology
