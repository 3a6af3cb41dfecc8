#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "operator/api/member.h"
#include "operator/base/clock.h"
#include "operator/progress/intervals.h"

namespace grapevine::progress {

using api::MemberId;
using LeaseId = uint64_t;  // never reused in a ledger's life, nor after Restore(); 0 is none

// Batches [first_batch, end_batch) of the permutation of one data epoch. Batch b holds the samples
// at positions [b * batch_size, min((b + 1) * batch_size, samples)) of that permutation.
struct BatchRange {
  int64_t data_epoch = 0;  // from 0
  int64_t first_batch = 0;
  int64_t end_batch = 0;
  friend bool operator==(const BatchRange&, const BatchRange&) = default;
};

// Batches to train on, in this order. "So far done" and "first unused" count along `ranges`.
struct Lease {
  LeaseId id = 0;
  MemberId owner = 0;
  std::vector<BatchRange> ranges;  // at most kMaxRanges
  int64_t batches() const;
};

struct RecallRequest {
  LeaseId lease = 0;
  MemberId owner = 0;  // is asked, and answers with Return()
};

// How far a job has come: what a checkpoint carries. Fits any number of members, but only the same
// data and batch size.
struct Progress {
  int64_t samples = 0;
  int64_t data_epoch = 0;        // all before it are wholly done
  std::vector<BatchRange> done;  // of this one and later ones
};

struct LedgerOptions {
  int64_t samples_per_epoch = 0;  // the training set's size, >= 1
  int64_t batch_size = 0;         // of one member, >= 1
  int64_t data_epochs = 0;        // of the whole job, >= 1
};

// Who trains on which batch, and which are done: each batch of each data epoch counts once, whoever
// joins, leaves, is late or is lost. Batches of all data epochs lie on one line; each is free,
// leased or done, and only a report of the lease's present owner makes it done. The last batch of a
// data epoch is short; were it a single sample, it is left out (batch normalisation needs two).
//
// Ownership is not membership: the ledger knows no roster. A leaver keeps its leases until the hub
// calls Release(). Lost or recalled leases are forgotten here, so that whatever their old owner
// still reports is refused. Thread-compatible; pure, it is handed `now`. Memory grows with leases
// out and gaps between them.
class Ledger {
 public:
  static constexpr Duration kLeaseTime = 10s;     // of work at the member's rate, at most
  static constexpr Duration kRecallTimeout = 2s;  // no answer: all that is unreported is free again
  static constexpr Duration kPatience = 10s;      // see Expire(); doubled each time it runs out
  static constexpr int64_t kFirstBatches = 16;    // for a member whose rate is not known
  static constexpr size_t kMaxRanges = 64;

  explicit Ledger(const LedgerOptions& options);

  // Samples per second that this member was last measured at; 0 for not known.
  void SetRate(MemberId member, double rate);

  // The next run of free batches, oldest first: min(kLeaseTime at the member's rate, what is left
  // to grant / (2 x members)), at least one batch. A member may hold several. nullopt when nothing
  // is free or while suspended; then see Recall(). `members` is the roster's size.
  std::optional<Lease> Grant(MemberId member, size_t members);

  // `batches_done` counts from the lease's start and only grows; a repeated or older one credits 0.
  // Returns the samples that are credited now. NotFound: not this member's lease (any more),
  // nothing counts. InvalidArgument: more than the lease has, nothing counts.
  absl::StatusOr<int64_t> Report(MemberId member, LeaseId lease, int64_t batches_done, Time now);

  // When Grant() found nothing free for `idle`: the lease of another member that would take longest
  // to finish and was not asked yet. Its owner is then asked for the batches that it has not begun.
  // A lease whose batches have all begun is asked too, since no answer means that nobody works on
  // it.
  std::optional<RecallRequest> Recall(MemberId idle, Time now);

  // The owner's answer, and how a leaver hands back: `batches_done` as in Report(), and batches
  // from `first_unused` on are not begun and never will be; they are free now. Counts also when
  // late or without a question, as long as the lease is the sender's. Same results as Report().
  absl::StatusOr<int64_t> Return(MemberId member, LeaseId lease, int64_t batches_done,
                                 int64_t first_unused, Time now);

  // The stream ended or the grace period is over: everything unreported is free again.
  void Release(MemberId member);

  // Frees what is unreported of leases whose recall was not answered in kRecallTimeout, or whose
  // owner answered, but has then reported no batch for kPatience (it lives, but hangs). The
  // patience doubles each time, so that a job whose batches take minutes ends too. Returns these
  // leases.
  std::vector<Lease> Expire(Time now);
  // When Expire() will next have something to do.
  std::optional<Time> NextExpiry() const;
  // For `pause` nobody read what the owners said: it counts towards no expiry.
  void Forgive(Duration pause);

  // Below minReplicas: no new leases and no recalls; reports count as always.
  void SetSuspended(bool suspended) { suspended_ = suspended; }
  bool suspended() const { return suspended_; }

  bool Finished() const { return done_.size() == total_batches_; }
  bool NothingFree() const { return free_.empty(); }
  int64_t samples_done() const { return samples_done_; }
  int64_t samples_total() const;
  double percent() const;                // 0 to 100, 100 only when finished
  int64_t data_epochs_complete() const;  // how many in a row from the first are wholly done
  // Data epochs done, as the learning-rate schedule counts: samples done over samples in a data
  // epoch.
  double ScheduleFraction() const;
  // The same, whole ones alone. Leases of several data epochs are out at a time: this runs ahead of
  // data_epochs_complete().
  int64_t data_epochs_done() const { return samples_done_ / SamplesIn({0, batches_per_epoch_}); }

  std::vector<Lease> LeasesOf(MemberId member) const;  // by ascending id
  size_t leases_out() const { return leases_.size(); }

  // Takes over a lease that an earlier ledger granted, as its owner tells of it, also a finished
  // one. What is done of it is done here too, unless it was already; what is not is the owner's
  // again, if all of it is free, and otherwise nobody's. True when the lease is out now. No id that
  // was taken over is granted again. InvalidArgument, and nothing changes, when it cannot be one of
  // this job's.
  absl::StatusOr<bool> Adopt(const Lease& lease, int64_t batches_done);

  Progress Snapshot() const;
  // Revokes all leases and takes over what is done. InvalidArgument, and nothing changes, for a
  // range out of bounds or named twice, and where `samples` is not what the ranges hold, as with
  // other data or another batch size. More data epochs than before are fine.
  absl::Status Restore(const Progress& progress);
  void Reset();  // to nothing done

  // Counts, free ranges, and one line per lease.
  std::string Describe() const;

 private:
  struct Holding {
    MemberId owner = 0;
    std::vector<Interval> batches;  // on the line
    int64_t size = 0;
    int64_t done = 0;                 // reported
    bool begun = false;               // the owner said that all of it is
    std::optional<Time> asked_at;     // while the answer is out
    std::optional<Time> quiet_since;  // once begun: the last progress
  };
  using Holdings = std::map<LeaseId, Holding>;

  int64_t SamplesIn(Interval batches) const;
  std::vector<Interval> Take(int64_t batches);
  int64_t LeaseBatches(MemberId member, size_t members) const;
  absl::StatusOr<Holdings::iterator> FindOwned(MemberId member, LeaseId lease, int64_t count);
  int64_t Credit(Holding& holding, int64_t batches_done, Time now);
  void Free(const Holding& holding, int64_t from);
  absl::StatusOr<std::vector<Interval>> ToIntervals(const std::vector<BatchRange>& ranges) const;
  double SecondsFor(MemberId member, int64_t batches) const;
  std::optional<Time> ExpiryOf(const Holding& holding) const;
  std::vector<BatchRange> ToRanges(const std::vector<Interval>& batches) const;
  Lease ToLease(LeaseId id, const Holding& holding) const;

  const LedgerOptions options_;
  const int64_t batches_per_epoch_;
  const int64_t total_batches_;
  IntervalSet free_;
  IntervalSet done_;
  Holdings leases_;
  std::unordered_map<MemberId, double> rates_;
  LeaseId next_lease_ = 1;
  Duration patience_ = kPatience;
  int64_t samples_done_ = 0;
  bool suspended_ = false;
};

}  // namespace grapevine::progress
