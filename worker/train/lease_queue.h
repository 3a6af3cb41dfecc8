#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "operator/base/mutex.h"
#include "worker/dataset/draw.h"

namespace grapevine::train {

using dataset::Draw;

// Batches [first_batch, end_batch) of the permutation of one data epoch.
struct BatchRange {
  int64_t data_epoch = 0;
  int64_t first_batch = 0;
  int64_t end_batch = 0;

  bool operator==(const BatchRange&) const = default;
};

struct LeaseProgress {
  uint64_t lease = 0;
  int64_t batches_done = 0;  // the first so many of the lease, in order

  bool operator==(const LeaseProgress&) const = default;
};

// A lease as a new hub must hear of it, which knows nothing of it.
struct LeaseClaim {
  uint64_t lease = 0;
  std::vector<BatchRange> ranges;  // less what was given back
  int64_t batches_done = 0;        // the first so many, in order

  bool operator==(const LeaseClaim&) const = default;
};

// Batches from first_unused on were not started and never will be, counted from the lease's first
// one. One of those before it may still be under way; it shows in a later Progress.
struct LeaseReturn {
  uint64_t lease = 0;
  int64_t first_unused = 0;
  int64_t batches_done = 0;

  bool operator==(const LeaseReturn&) const = default;
};

struct LeaseQueueOptions {
  int64_t batches_per_data_epoch = 1;
  uint64_t seed = 0;  // of random draws; must differ between members
  // Tells when training runs out of leased batches while the hub is there (true), and when that is
  // over (false); true is where it begins. On the thread that made it so; must not call back into
  // the queue.
  std::function<void(bool starved)> on_starved = [](bool) {};
};

// Between the control client, which hears of leases, and training, which works them off in order. A
// batch passes through Next (it is being prepared), Start (the step begins) and Done; whatever was
// not started can be taken back at any time. When the hub is away and the leases are used up,
// batches are drawn at random instead, counted towards nothing.
//
// Thread-safe.
class LeaseQueue {
 public:
  explicit LeaseQueue(LeaseQueueOptions options);
  LeaseQueue(const LeaseQueue&) = delete;
  LeaseQueue& operator=(const LeaseQueue&) = delete;

  // --- control ---

  // A lease that is known already is left as it is. InvalidArgument, and nothing added: id 0, or a
  // range that is empty or outside its data epoch.
  absl::Status Add(uint64_t lease, std::vector<BatchRange> ranges);

  // Ends the lease at its first batch not started. Of an unknown lease nothing was used: {lease, 0,
  // 0}.
  LeaseReturn Recall(uint64_t lease);

  // Recall of every lease with batches left: this member leaves.
  std::vector<LeaseReturn> ReturnAll();

  // Forgets every lease, without a word: they were granted to a member id that is gone. What of
  // them is being prepared will not start, not even under a new lease of the same id.
  void Clear();

  // Connected is where it begins.
  void SetConnected(bool connected);

  // What the next report says. Lists finished leases too, each at least once and the latest ones
  // several times: a report may be lost with its stream.
  std::vector<LeaseProgress> Progress();

  // How often Progress was called: the number of the last report, from 1.
  uint64_t reports() const;

  // What that report and those before it said is on record: no new hub needs to hear of the leases
  // that were finished in them.
  void Forget(uint64_t report);

  // All leases that a new hub must be told of. Of finished ones at most kMostFinished are kept when
  // nothing comes on record for long; the work of older ones may then be done a second time.
  std::vector<LeaseClaim> Claims() const;

  static constexpr size_t kMostFinished = 256;

  // Leased batches not started.
  int64_t unstarted() const;

  // --- training ---

  // The next batch; waits while there is none. nullopt after Stop.
  std::optional<Draw> Next();

  // False when the batch was taken back since Next, or was drawn at random and a leased one has
  // come: drop it.
  bool Start(const Draw& draw);

  // Ends what Start began.
  void Done(const Draw& draw);

  // Ends every Next, now and later.
  void Stop();

 private:
  // 0 <= done <= started <= next, started <= batches; next may be beyond batches after a recall.
  struct Lease {
    uint64_t id = 0;
    std::vector<BatchRange> ranges;
    int64_t batches = 0;
    int64_t next = 0;
    int64_t started = 0;
    int64_t done = 0;
    uint64_t reported = 0;  // as finished, first in this report; 0: not yet

    bool finished() const { return done == batches; }
  };

  Lease* FindLocked(uint64_t id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The lease of a draw; null when it is gone, or the draw was at random.
  Lease* LeaseOfLocked(const Draw& draw) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::optional<Draw> NextLeasedLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Draw RandomDrawLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  int64_t UnstartedLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TellStarved() ABSL_LOCKS_EXCLUDED(mutex_);

  const LeaseQueueOptions options_;

  mutable Mutex mutex_;
  CondVar changed_;
  std::deque<Lease> leases_ ABSL_GUARDED_BY(mutex_);  // as granted
  uint64_t generation_ ABSL_GUARDED_BY(mutex_) = 0;   // grows with each Clear
  uint64_t reports_ ABSL_GUARDED_BY(mutex_) = 0;
  bool connected_ ABSL_GUARDED_BY(mutex_) = true;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t data_epoch_ ABSL_GUARDED_BY(mutex_) = 0;  // of the last leased draw
  uint64_t random_draws_ ABSL_GUARDED_BY(mutex_) = 0;

  Mutex telling_;  // before mutex_: on_starved is told of changes one at a time, the latest last
  bool told_starved_ ABSL_GUARDED_BY(telling_) = true;
};

}  // namespace grapevine::train
