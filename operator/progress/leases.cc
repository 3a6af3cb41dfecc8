#include "operator/progress/leases.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "operator/base/check.h"

namespace grapevine::progress {
namespace {

// A last batch of one sample is left out, unless it is all there is.
int64_t BatchesPerEpoch(const LedgerOptions& options) {
  GRAPEVINE_CHECK(options.samples_per_epoch >= 1 && options.batch_size >= 1);
  const int64_t whole = options.samples_per_epoch / options.batch_size;
  const int64_t rest = options.samples_per_epoch % options.batch_size;
  return whole + (rest > 1 || whole == 0 ? 1 : 0);
}

std::string Describe(const BatchRange& range) {
  return fmt::format("{}:{}-{}", range.data_epoch, range.first_batch, range.end_batch);
}

std::string Describe(const std::vector<BatchRange>& ranges) {
  if (ranges.empty()) return " none";
  std::string text;
  for (const BatchRange& range : ranges) text.append(" ").append(Describe(range));
  return text;
}

// Calls `visit` with the parts of `batches` that lie at offsets [from, to).
template <typename Visit>
void ForEachPart(const std::vector<Interval>& batches, int64_t from, int64_t to, Visit visit) {
  int64_t offset = 0;
  for (const Interval& interval : batches) {
    const int64_t begin = std::clamp<int64_t>(from - offset, 0, interval.size());
    const int64_t end = std::clamp<int64_t>(to - offset, 0, interval.size());
    if (begin < end) visit(Interval{interval.begin + begin, interval.begin + end});
    offset += interval.size();
  }
}

}  // namespace

int64_t Lease::batches() const {
  int64_t count = 0;
  for (const BatchRange& range : ranges) count += range.end_batch - range.first_batch;
  return count;
}

Ledger::Ledger(const LedgerOptions& options)
    : options_(options),
      batches_per_epoch_(BatchesPerEpoch(options)),
      total_batches_(batches_per_epoch_ * options.data_epochs),
      free_(Interval{0, total_batches_}) {
  GRAPEVINE_CHECK(options.data_epochs >= 1);
}

int64_t Ledger::SamplesIn(Interval batches) const {
  const int64_t last =
      std::min(options_.batch_size,
               options_.samples_per_epoch - (batches_per_epoch_ - 1) * options_.batch_size);
  const int64_t last_ones = batches.end / batches_per_epoch_ - batches.begin / batches_per_epoch_;
  return batches.size() * options_.batch_size - last_ones * (options_.batch_size - last);
}

int64_t Ledger::samples_total() const { return SamplesIn({0, total_batches_}); }

double Ledger::percent() const {
  return 100 * static_cast<double>(samples_done_) / static_cast<double>(samples_total());
}

int64_t Ledger::data_epochs_complete() const {
  if (done_.empty() || done_.first().begin > 0) return 0;
  return done_.first().end / batches_per_epoch_;
}

double Ledger::ScheduleFraction() const {
  return static_cast<double>(samples_done_) /
         static_cast<double>(SamplesIn({0, batches_per_epoch_}));
}

void Ledger::SetRate(MemberId member, double rate) { rates_[member] = rate; }

int64_t Ledger::LeaseBatches(MemberId member, size_t members) const {
  auto rate = rates_.find(member);
  double by_time = kFirstBatches;
  if (rate != rates_.end() && rate->second > 0) {
    by_time = ToSeconds(kLeaseTime) * rate->second / static_cast<double>(options_.batch_size);
  }
  const auto share = static_cast<double>(free_.size()) / (2.0 * static_cast<double>(members));
  return std::max<int64_t>(1, static_cast<int64_t>(std::min(by_time, share)));
}

std::vector<Interval> Ledger::Take(int64_t batches) {
  std::vector<Interval> taken;
  while (batches > 0 && !free_.empty() && taken.size() < kMaxRanges) {
    const int64_t left_of_epoch = batches_per_epoch_ - free_.first().begin % batches_per_epoch_;
    taken.push_back(free_.TakeLowest(std::min(batches, left_of_epoch)));
    batches -= taken.back().size();
  }
  return taken;
}

std::optional<Lease> Ledger::Grant(MemberId member, size_t members) {
  GRAPEVINE_CHECK(members > 0);
  if (suspended_ || free_.empty()) return std::nullopt;
  Holding holding{.owner = member, .batches = Take(LeaseBatches(member, members))};
  for (const Interval& interval : holding.batches) holding.size += interval.size();
  const LeaseId id = next_lease_++;
  return ToLease(id, leases_.emplace(id, std::move(holding)).first->second);
}

absl::StatusOr<Ledger::Holdings::iterator> Ledger::FindOwned(MemberId member, LeaseId lease,
                                                             int64_t count) {
  auto it = leases_.find(lease);
  if (it == leases_.end() || it->second.owner != member) {
    return absl::NotFoundError(fmt::format("lease {} is not member {}'s", lease, member));
  }
  if (count < 0 || count > it->second.size) {
    return absl::InvalidArgumentError(fmt::format("lease {} has {} batches, member {} says {}",
                                                  lease, it->second.size, member, count));
  }
  return it;
}

int64_t Ledger::Credit(Holding& holding, int64_t batches_done, Time now) {
  if (batches_done <= holding.done) return 0;
  int64_t samples = 0;
  ForEachPart(holding.batches, holding.done, batches_done, [&](Interval part) {
    done_.Add(part);
    samples += SamplesIn(part);
  });
  holding.done = batches_done;
  if (holding.quiet_since) holding.quiet_since = now;
  samples_done_ += samples;
  return samples;
}

void Ledger::Free(const Holding& holding, int64_t from) {
  ForEachPart(holding.batches, from, holding.size, [this](Interval part) { free_.Add(part); });
}

absl::StatusOr<int64_t> Ledger::Report(MemberId member, LeaseId lease, int64_t batches_done,
                                       Time now) {
  auto it = FindOwned(member, lease, batches_done);
  if (!it.ok()) return it.status();
  const int64_t samples = Credit((*it)->second, batches_done, now);
  if ((*it)->second.done == (*it)->second.size) leases_.erase(*it);
  return samples;
}

double Ledger::SecondsFor(MemberId member, int64_t batches) const {
  auto rate = rates_.find(member);
  if (rate == rates_.end() || rate->second <= 0) return std::numeric_limits<double>::infinity();
  return static_cast<double>(batches * options_.batch_size) / rate->second;
}

std::optional<RecallRequest> Ledger::Recall(MemberId idle, Time now) {
  if (suspended_ || !free_.empty()) return std::nullopt;
  auto slowest = leases_.end();
  double longest = -1;
  std::unordered_map<MemberId, int64_t> ahead;  // an owner works on its leases by ascending id
  for (auto it = leases_.begin(); it != leases_.end(); ++it) {
    const Holding& holding = it->second;
    int64_t& unreported = ahead[holding.owner];
    unreported += holding.size - holding.done;
    if (holding.owner == idle || holding.asked_at || holding.begun) continue;
    const double seconds = SecondsFor(holding.owner, unreported);
    if (seconds < longest) continue;  // among equals the one that is begun last
    longest = seconds;
    slowest = it;
  }
  if (slowest == leases_.end()) return std::nullopt;
  slowest->second.asked_at = now;
  return RecallRequest{slowest->first, slowest->second.owner};
}

absl::StatusOr<int64_t> Ledger::Return(MemberId member, LeaseId lease, int64_t batches_done,
                                       int64_t first_unused, Time now) {
  auto it = FindOwned(member, lease, first_unused);
  if (!it.ok()) return it.status();
  Holding& holding = (*it)->second;
  if (batches_done > first_unused || first_unused < holding.done) {
    return absl::InvalidArgumentError(
        fmt::format("member {} calls lease {} unused from {}, of which {} are done", member, lease,
                    first_unused, std::max(batches_done, holding.done)));
  }
  const int64_t samples = Credit(holding, batches_done, now);
  Free(holding, first_unused);
  holding.size = first_unused;
  holding.begun = true;
  holding.asked_at.reset();
  holding.quiet_since = now;
  if (holding.done == holding.size) leases_.erase(*it);
  return samples;
}

void Ledger::Release(MemberId member) {
  std::erase_if(leases_, [&](const auto& entry) {
    if (entry.second.owner != member) return false;
    Free(entry.second, entry.second.done);
    return true;
  });
  rates_.erase(member);
}

std::vector<Lease> Ledger::Expire(Time now) {
  std::vector<Lease> expired;
  bool hung = false;
  for (auto it = leases_.begin(); it != leases_.end();) {
    const std::optional<Time> expiry = ExpiryOf(it->second);
    if (!expiry || now < *expiry) {
      ++it;
      continue;
    }
    hung |= it->second.begun;
    expired.push_back(ToLease(it->first, it->second));
    Free(it->second, it->second.done);
    it = leases_.erase(it);
  }
  if (hung) patience_ *= 2;
  return expired;
}

std::optional<Time> Ledger::ExpiryOf(const Holding& holding) const {
  if (holding.asked_at) return *holding.asked_at + kRecallTimeout;
  if (holding.quiet_since) return *holding.quiet_since + patience_;
  return std::nullopt;
}

std::optional<Time> Ledger::NextExpiry() const {
  std::optional<Time> next;
  for (const auto& [id, holding] : leases_) {
    const std::optional<Time> expiry = ExpiryOf(holding);
    if (expiry && (!next || *expiry < *next)) next = expiry;
  }
  return next;
}

void Ledger::Forgive(Duration pause) {
  for (auto& [id, holding] : leases_) {
    if (holding.asked_at) *holding.asked_at += pause;
    if (holding.quiet_since) *holding.quiet_since += pause;
  }
}

std::vector<BatchRange> Ledger::ToRanges(const std::vector<Interval>& batches) const {
  std::vector<BatchRange> ranges;
  for (Interval interval : batches) {
    while (interval.begin < interval.end) {
      const int64_t epoch = interval.begin / batches_per_epoch_;
      const int64_t first = epoch * batches_per_epoch_;
      const int64_t end = std::min(interval.end, first + batches_per_epoch_);
      ranges.push_back({epoch, interval.begin - first, end - first});
      interval.begin = end;
    }
  }
  return ranges;
}

Lease Ledger::ToLease(LeaseId id, const Holding& holding) const {
  std::vector<Interval> batches;
  ForEachPart(holding.batches, 0, holding.size,
              [&batches](Interval part) { batches.push_back(part); });
  return Lease{id, holding.owner, ToRanges(batches)};
}

std::vector<Lease> Ledger::LeasesOf(MemberId member) const {
  std::vector<Lease> leases;
  for (const auto& [id, holding] : leases_) {
    if (holding.owner == member) leases.push_back(ToLease(id, holding));
  }
  return leases;
}

absl::StatusOr<std::vector<Interval>> Ledger::ToIntervals(
    const std::vector<BatchRange>& ranges) const {
  std::vector<Interval> intervals;
  IntervalSet all;
  for (const BatchRange& range : ranges) {
    const bool inside = range.data_epoch >= 0 && range.data_epoch < options_.data_epochs &&
                        range.first_batch >= 0 && range.first_batch < range.end_batch &&
                        range.end_batch <= batches_per_epoch_;
    const int64_t first = inside ? range.data_epoch * batches_per_epoch_ : 0;
    const Interval batches{first + range.first_batch, first + range.end_batch};
    if (!inside || all.Overlaps(batches)) {
      return absl::InvalidArgumentError(
          fmt::format("batches {} {}", grapevine::progress::Describe(range),
                      inside ? "are named twice" : "are not of the job"));
    }
    all.Add(batches);
    intervals.push_back(batches);
  }
  return intervals;
}

absl::StatusOr<bool> Ledger::Adopt(const Lease& lease, int64_t batches_done) {
  absl::StatusOr<std::vector<Interval>> batches = ToIntervals(lease.ranges);
  if (!batches.ok()) return batches.status();
  const int64_t size = lease.batches();
  if (lease.id == 0 || leases_.contains(lease.id) || lease.ranges.size() > kMaxRanges ||
      batches_done < 0 || batches_done > size) {
    return absl::InvalidArgumentError(fmt::format("lease {} of {} batches in {} ranges, {} done",
                                                  lease.id, size, lease.ranges.size(),
                                                  batches_done));
  }
  next_lease_ = std::max(next_lease_, lease.id + 1);
  ForEachPart(*batches, 0, batches_done, [this](Interval claimed) {
    for (const Interval part : free_.Within(claimed)) {
      free_.Remove(part);
      done_.Add(part);
      samples_done_ += SamplesIn(part);
    }
  });
  bool free = batches_done < size;
  ForEachPart(*batches, batches_done, size,
              [&](Interval part) { free = free && free_.Covers(part); });
  if (!free) return false;
  ForEachPart(*batches, batches_done, size, [this](Interval part) { free_.Remove(part); });
  leases_[lease.id] = {
      .owner = lease.owner, .batches = *std::move(batches), .size = size, .done = batches_done};
  return true;
}

Progress Ledger::Snapshot() const {
  Progress progress{samples_done_, data_epochs_complete(), {}};
  for (const BatchRange& range : ToRanges(done_.ToVector())) {
    if (range.data_epoch >= progress.data_epoch) progress.done.push_back(range);
  }
  return progress;
}

absl::Status Ledger::Restore(const Progress& progress) {
  if (progress.data_epoch < 0 || progress.data_epoch > options_.data_epochs) {
    return absl::InvalidArgumentError(fmt::format("progress is in data epoch {} of {}",
                                                  progress.data_epoch, options_.data_epochs));
  }
  const absl::StatusOr<std::vector<Interval>> named = ToIntervals(progress.done);
  if (!named.ok()) {
    return absl::InvalidArgumentError(
        fmt::format("progress: {}", std::string(named.status().message())));
  }
  IntervalSet done(Interval{0, progress.data_epoch * batches_per_epoch_});
  IntervalSet free(Interval{progress.data_epoch * batches_per_epoch_, total_batches_});
  for (const Interval batches : *named) {
    if (done.Overlaps(batches)) {
      return absl::InvalidArgumentError(
          fmt::format("progress: done batches of a data epoch before {}", progress.data_epoch));
    }
    done.Add(batches);
    free.Remove(batches);
  }
  int64_t samples = 0;
  for (Interval interval : done.ToVector()) samples += SamplesIn(interval);
  if (samples != progress.samples) {
    return absl::InvalidArgumentError(
        fmt::format("progress says {} samples, its batches hold {} in this job: the data or the "
                    "batch size is another",
                    progress.samples, samples));
  }
  leases_.clear();
  done_ = std::move(done);
  free_ = std::move(free);
  samples_done_ = samples;
  return absl::OkStatus();
}

void Ledger::Reset() { GRAPEVINE_CHECK(Restore({}).ok()); }

std::string Ledger::Describe() const {
  std::string text = fmt::format(
      "{} of {} batches done, {} of {} samples ({:.1f} %), {} of {} data epochs complete\n",
      done_.size(), total_batches_, samples_done_, samples_total(), percent(),
      data_epochs_complete(), options_.data_epochs);
  text += fmt::format("free:{}{}\n", grapevine::progress::Describe(ToRanges(free_.ToVector())),
                      suspended_ ? " (suspended)" : "");
  for (const auto& [id, holding] : leases_) {
    text += fmt::format("lease {} of {}:{}, {} done{}{}\n", id, holding.owner,
                        grapevine::progress::Describe(ToLease(id, holding).ranges), holding.done,
                        holding.asked_at ? ", asked" : "", holding.begun ? ", begun" : "");
  }
  return text;
}

}  // namespace grapevine::progress
