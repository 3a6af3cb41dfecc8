#include "worker/train/lease_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "worker/dataset/random_stream.h"

namespace grapevine::train {
namespace {

// Finished leases that are reported again, in case a report was lost.
constexpr size_t kSaidAgain = 8;

}  // namespace

LeaseQueue::LeaseQueue(LeaseQueueOptions options) : options_(std::move(options)) {}

absl::Status LeaseQueue::Add(uint64_t id, std::vector<BatchRange> ranges) {
  Lease lease{.id = id};
  for (const BatchRange& range : ranges) {
    if (range.data_epoch < 0 || range.first_batch < 0 || range.end_batch <= range.first_batch ||
        range.end_batch > options_.batches_per_data_epoch) {
      return absl::InvalidArgumentError(fmt::format(
          "lease {}: batches {} to {} of data epoch {}, which has {}", id, range.first_batch,
          range.end_batch, range.data_epoch, options_.batches_per_data_epoch));
    }
    lease.batches += range.end_batch - range.first_batch;
  }
  if (id == 0 || lease.batches == 0) {
    return absl::InvalidArgumentError(fmt::format("lease {} of {} batches", id, lease.batches));
  }
  lease.ranges = std::move(ranges);
  {
    MutexLock lock(mutex_);
    if (FindLocked(id) != nullptr) return absl::OkStatus();
    leases_.push_back(std::move(lease));
    changed_.NotifyAll();
  }
  TellStarved();
  return absl::OkStatus();
}

LeaseReturn LeaseQueue::Recall(uint64_t id) {
  LeaseReturn result{.lease = id};
  {
    MutexLock lock(mutex_);
    if (Lease* lease = FindLocked(id)) {
      lease->batches = lease->started;
      result.first_unused = lease->started;
      result.batches_done = lease->done;
    }
  }
  TellStarved();
  return result;
}

std::vector<LeaseReturn> LeaseQueue::ReturnAll() {
  std::vector<LeaseReturn> results;
  {
    MutexLock lock(mutex_);
    for (Lease& lease : leases_) {
      if (lease.finished()) continue;
      lease.batches = lease.started;
      results.push_back({lease.id, lease.started, lease.done});
    }
  }
  TellStarved();
  return results;
}

void LeaseQueue::Clear() {
  {
    MutexLock lock(mutex_);
    leases_.clear();
    ++generation_;
  }
  TellStarved();
}

void LeaseQueue::SetConnected(bool connected) {
  {
    MutexLock lock(mutex_);
    connected_ = connected;
    changed_.NotifyAll();
  }
  TellStarved();
}

std::vector<LeaseProgress> LeaseQueue::Progress() {
  MutexLock lock(mutex_);
  ++reports_;
  auto reported = static_cast<size_t>(
      std::ranges::count_if(leases_, [](const Lease& lease) { return lease.reported != 0; }));
  std::vector<LeaseProgress> progress;
  for (auto lease = leases_.begin(); lease != leases_.end();) {
    const bool old = lease->reported != 0 && reported > kSaidAgain;
    if (old && reported-- > kMostFinished) {
      lease = leases_.erase(lease);
      continue;
    }
    if (!old) progress.push_back({lease->id, lease->done});
    if (lease->reported == 0 && lease->finished()) lease->reported = reports_;
    ++lease;
  }
  return progress;
}

uint64_t LeaseQueue::reports() const {
  MutexLock lock(mutex_);
  return reports_;
}

void LeaseQueue::Forget(uint64_t report) {
  MutexLock lock(mutex_);
  std::erase_if(leases_, [report](const Lease& lease) {
    return lease.reported != 0 && lease.reported <= report;
  });
}

std::vector<LeaseClaim> LeaseQueue::Claims() const {
  MutexLock lock(mutex_);
  std::vector<LeaseClaim> claims;
  for (const Lease& lease : leases_) {
    LeaseClaim claim{.lease = lease.id, .batches_done = lease.done};
    int64_t left = lease.batches;
    for (BatchRange range : lease.ranges) {
      range.end_batch = std::min(range.end_batch, range.first_batch + left);
      left -= range.end_batch - range.first_batch;
      if (range.first_batch < range.end_batch) claim.ranges.push_back(range);
    }
    if (!claim.ranges.empty()) claims.push_back(std::move(claim));
  }
  return claims;
}

int64_t LeaseQueue::unstarted() const {
  MutexLock lock(mutex_);
  return UnstartedLocked();
}

std::optional<Draw> LeaseQueue::Next() {
  MutexLock lock(mutex_);
  while (!stopped_) {
    if (auto draw = NextLeasedLocked()) return draw;
    if (!connected_) return RandomDrawLocked();
    changed_.Wait(mutex_);
  }
  return std::nullopt;
}

bool LeaseQueue::Start(const Draw& draw) {
  MutexLock lock(mutex_);
  if (stopped_) return false;
  if (!draw.leased()) return UnstartedLocked() == 0;
  Lease* lease = LeaseOfLocked(draw);
  if (lease == nullptr || draw.position >= lease->batches) return false;
  lease->started = draw.position + 1;
  return true;
}

void LeaseQueue::Done(const Draw& draw) {
  {
    MutexLock lock(mutex_);
    if (Lease* lease = LeaseOfLocked(draw)) lease->done = draw.position + 1;
  }
  TellStarved();
}

void LeaseQueue::Stop() {
  MutexLock lock(mutex_);
  stopped_ = true;
  changed_.NotifyAll();
}

LeaseQueue::Lease* LeaseQueue::FindLocked(uint64_t id) {
  const auto found = std::find_if(leases_.begin(), leases_.end(),
                                  [id](const Lease& lease) { return lease.id == id; });
  return found == leases_.end() ? nullptr : &*found;
}

LeaseQueue::Lease* LeaseQueue::LeaseOfLocked(const Draw& draw) {
  return draw.leased() && draw.generation == generation_ ? FindLocked(draw.lease) : nullptr;
}

std::optional<Draw> LeaseQueue::NextLeasedLocked() {
  for (Lease& lease : leases_) {
    if (lease.next >= lease.batches) continue;
    Draw draw{.lease = lease.id, .position = lease.next++, .generation = generation_};
    int64_t skip = draw.position;
    for (const BatchRange& range : lease.ranges) {
      const int64_t batches = range.end_batch - range.first_batch;
      if (skip < batches) {
        draw.data_epoch = range.data_epoch;
        draw.batch = range.first_batch + skip;
        break;
      }
      skip -= batches;
    }
    data_epoch_ = draw.data_epoch;
    return draw;
  }
  return std::nullopt;
}

Draw LeaseQueue::RandomDrawLocked() {
  dataset::RandomStream random(options_.seed, random_draws_++);
  return {.data_epoch = data_epoch_,
          .batch = random.Below(static_cast<uint64_t>(options_.batches_per_data_epoch))};
}

int64_t LeaseQueue::UnstartedLocked() const {
  int64_t unstarted = 0;
  for (const Lease& lease : leases_) unstarted += lease.batches - lease.started;
  return unstarted;
}

void LeaseQueue::TellStarved() {
  MutexLock telling(telling_);
  bool starved = false;
  {
    MutexLock lock(mutex_);
    starved = connected_ && std::all_of(leases_.begin(), leases_.end(),
                                        [](const Lease& lease) { return lease.finished(); });
  }
  if (std::exchange(told_starved_, starved) != starved) options_.on_starved(starved);
}

}  // namespace grapevine::train
