// A random world around the ledger (members that join, leave, pause, hang, answer late and report
// twice) and a dumb twin that keeps one counter per sample of the whole job.

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "operator/progress/leases.h"

namespace grapevine::progress {
namespace {

constexpr Duration kTick = 100ms;

class Twin {
 public:
  explicit Twin(const LedgerOptions& options)
      : options_(options), counted_(options.data_epochs * options.samples_per_epoch) {}

  void Granted(const Lease& lease) {
    Record& record = records_[lease.id];
    ASSERT_EQ(record.owner, 0u) << "lease ids are never reused";
    record.owner = lease.owner;
    for (const BatchRange& range : lease.ranges) {
      for (int64_t batch = range.first_batch; batch < range.end_batch; ++batch) {
        record.batches.emplace_back(range.data_epoch, batch);
      }
    }
  }

  // What a report must credit: nullopt where the ledger must refuse it.
  std::optional<int64_t> Count(MemberId member, LeaseId lease, int64_t batches_done) {
    Record& record = records_[lease];
    if (record.owner != member || record.lost) return std::nullopt;
    int64_t samples = 0;
    for (; record.done < batches_done; ++record.done) {
      const auto [epoch, batch] = record.batches[record.done];
      const int64_t end = std::min((batch + 1) * options_.batch_size, options_.samples_per_epoch);
      for (int64_t sample = batch * options_.batch_size; sample < end; ++sample, ++samples) {
        EXPECT_EQ(++counted_[epoch * options_.samples_per_epoch + sample], 1);
      }
    }
    record.lost = record.done == static_cast<int64_t>(record.batches.size());
    return samples;
  }

  void Returned(LeaseId lease, int64_t first_unused) {
    Record& record = records_[lease];
    record.batches.resize(first_unused);
    record.lost = record.done == first_unused;
  }
  void Lost(LeaseId lease) { records_[lease].lost = true; }
  void LostAllOf(MemberId member) {
    for (auto& [id, record] : records_) record.lost |= record.owner == member;
  }

  int64_t Total() const { return std::count(counted_.begin(), counted_.end(), 1); }

 private:
  struct Record {
    MemberId owner = 0;
    std::vector<std::pair<int64_t, int64_t>> batches;
    int64_t done = 0;
    bool lost = false;  // or complete
  };

  const LedgerOptions options_;
  std::vector<int> counted_;
  std::map<LeaseId, Record> records_;
};

struct HeldLease {
  Lease lease;
  double batches_done = 0;
  int64_t end = 0;  // after a return: the first unused
};

struct Worker {
  MemberId id = 0;
  double batches_per_tick = 1;
  std::vector<HeldLease> held;
  Time paused_until{};                              // neither works nor talks
  std::vector<std::pair<Time, LeaseId>> questions;  // recalls that will be answered then
};

class World {
 public:
  World(uint64_t seed, const LedgerOptions& options)
      : options_(options), ledger_(options), twin_(options), rng_(seed) {
    const int first = Roll(1, 5);
    for (int i = 0; i < first; ++i) Join();
  }

  // Runs until the job has ended; false when it does not.
  bool Run() {
    for (int tick = 0; tick < 40'000 && !ledger_.Finished(); ++tick) {
      now_ += kTick;
      if (tick < 3'000) {
        Disturb();
      } else {  // liveness: undisturbed it must end
        ledger_.SetSuspended(false);
      }
      for (Worker& worker : workers_) Step(worker);
      for (const Lease& lease : ledger_.Expire(now_)) {
        twin_.Lost(lease.id);
        ++expired_;
      }
      if (testing::Test::HasFailure()) return false;
    }
    return ledger_.Finished();
  }

  const Ledger& ledger() const { return ledger_; }
  const Twin& twin() const { return twin_; }
  int64_t refused() const { return refused_; }
  int64_t expired() const { return expired_; }

 private:
  int Roll(int low, int high) { return std::uniform_int_distribution<int>(low, high)(rng_); }
  bool OneIn(int chances) { return Roll(1, chances) == 1; }

  void Join() {
    Worker worker;
    worker.id = ++last_member_;
    worker.batches_per_tick = std::pow(10.0, Roll(-25, 2) / 10.0);
    workers_.push_back(worker);
  }

  void Disturb() {
    if (OneIn(60) && workers_.size() < 8) Join();
    if (OneIn(80) && workers_.size() > 1) Leave(Roll(0, static_cast<int>(workers_.size()) - 1));
    for (Worker& worker : workers_) {
      if (OneIn(150)) worker.paused_until = now_ + Roll(1, 120) * kTick;
      if (OneIn(100)) worker.batches_per_tick *= OneIn(2) ? 0.1 : 3;
    }
    if (OneIn(50)) ledger_.SetSuspended(!ledger_.suspended());
    if (OneIn(400)) RoundTrip();
  }

  void Leave(int which) {
    Worker worker = workers_[which];
    workers_.erase(workers_.begin() + which);
    if (OneIn(2)) {  // in order: hands back
      for (HeldLease& held : worker.held) {
        const auto done = static_cast<int64_t>(held.batches_done);
        Return(worker.id, held, done, done);
      }
    }
    ledger_.Release(worker.id);
    twin_.LostAllOf(worker.id);
    for (HeldLease& held : worker.held) Report(worker.id, held);  // a ghost speaks up
  }

  // A restart of the operator from its own checkpoint: leases are lost, what is done stays.
  void RoundTrip() {
    const Progress progress = ledger_.Snapshot();
    ASSERT_TRUE(ledger_.Restore(progress).ok());
    for (MemberId id = 1; id <= last_member_; ++id) twin_.LostAllOf(id);
  }

  void Report(MemberId member, HeldLease& held) {
    const auto done = static_cast<int64_t>(held.batches_done);
    const absl::StatusOr<int64_t> credited = ledger_.Report(member, held.lease.id, done, now_);
    const std::optional<int64_t> expected = twin_.Count(member, held.lease.id, done);
    ASSERT_EQ(credited.ok(), expected.has_value()) << credited.status();
    if (!credited.ok()) {
      ++refused_;
      return;
    }
    ASSERT_EQ(*credited, *expected);
  }

  void Return(MemberId member, HeldLease& held, int64_t done, int64_t first_unused) {
    const absl::StatusOr<int64_t> credited =
        ledger_.Return(member, held.lease.id, done, first_unused, now_);
    const std::optional<int64_t> expected = twin_.Count(member, held.lease.id, done);
    ASSERT_EQ(credited.ok(), expected.has_value()) << credited.status();
    if (!credited.ok()) return;
    ASSERT_EQ(*credited, *expected);
    twin_.Returned(held.lease.id, first_unused);
    held.end = first_unused;
  }

  void Answer(Worker& worker, LeaseId lease) {
    for (HeldLease& held : worker.held) {
      if (held.lease.id != lease) continue;
      const auto done = static_cast<int64_t>(held.batches_done);
      const bool first = &held == &worker.held.front();
      const int64_t begun = std::min(held.end, done + (first ? 1 : 0));
      Return(worker.id, held, done, begun);
      held.end = begun;
    }
  }

  void Step(Worker& worker) {
    if (now_ < worker.paused_until) return;
    double left = worker.batches_per_tick;
    for (HeldLease& held : worker.held) {
      const double step = std::min(left, static_cast<double>(held.end) - held.batches_done);
      held.batches_done += step;
      left -= step;
      if (OneIn(3)) Report(worker.id, held);
      if (OneIn(20)) Report(worker.id, held);
      if (held.batches_done >= static_cast<double>(held.end)) Report(worker.id, held);
    }
    std::erase_if(worker.held, [](const HeldLease& held) {
      return held.batches_done >= static_cast<double>(held.end);
    });
    std::erase_if(worker.questions, [&](const auto& question) {
      if (question.first > now_) return false;
      Answer(worker, question.second);
      return true;
    });
    ledger_.SetRate(worker.id, worker.batches_per_tick * options_.batch_size * 10);
    if (worker.held.size() < 2) Ask(worker);
  }

  void Ask(Worker& worker) {
    if (std::optional<Lease> lease = ledger_.Grant(worker.id, workers_.size())) {
      twin_.Granted(*lease);
      const int64_t batches = lease->batches();
      worker.held.push_back({*std::move(lease), 0, batches});
      return;
    }
    if (!worker.held.empty()) return;
    const std::optional<RecallRequest> request = ledger_.Recall(worker.id, now_);
    if (!request) return;
    for (Worker& owner : workers_) {
      if (owner.id == request->owner) {
        owner.questions.emplace_back(now_ + Roll(0, 30) * kTick, request->lease);
      }
    }
  }

  const LedgerOptions options_;
  Ledger ledger_;
  Twin twin_;
  std::mt19937_64 rng_;
  Time now_{100s};
  MemberId last_member_ = 0;
  std::vector<Worker> workers_;
  int64_t refused_ = 0;  // reports of lost leases
  int64_t expired_ = 0;
};

TEST(LedgerTwinTest, EachSampleCountsOnceAndTheJobEnds) {
  int64_t refused = 0;
  int64_t expired = 0;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 rng(seed);
    LedgerOptions options;
    options.samples_per_epoch = std::uniform_int_distribution<int>(1, 1437)(rng);
    options.batch_size = std::uniform_int_distribution<int>(1, 64)(rng);
    options.data_epochs = std::uniform_int_distribution<int>(1, 12)(rng);
    World world(seed, options);
    ASSERT_TRUE(world.Run()) << world.ledger().Describe();
    ASSERT_EQ(world.twin().Total(), world.ledger().samples_total());
    ASSERT_EQ(world.ledger().samples_done(), world.ledger().samples_total());
    ASSERT_EQ(world.ledger().leases_out(), 0u);
    ASSERT_EQ(world.ledger().percent(), 100);
    refused += world.refused();
    expired += world.expired();
  }
  EXPECT_GT(refused, 1000) << "the world is too kind to show anything";
  EXPECT_GT(expired, 100);
}

TEST(LedgerTwinTest, AllButThePausedEndTheJobWithoutIt) {
  // Two members; one is stopped in the middle and never comes back, though nobody releases its
  // leases.
  Ledger ledger({.samples_per_epoch = 1437, .batch_size = 32, .data_epochs = 3});
  Time now{1s};
  ledger.SetRate(1, 500);
  ledger.SetRate(2, 500);
  ASSERT_TRUE(ledger.Grant(2, 2).has_value());
  int64_t ticks = 0;
  for (; !ledger.Finished(); ++ticks, now += kTick) {
    ASSERT_LT(ticks, 200);
    while (std::optional<Lease> lease = ledger.Grant(1, 2)) {
      ASSERT_TRUE(ledger.Report(1, lease->id, lease->batches(), now).ok());
    }
    ledger.Recall(1, now);
    ledger.Expire(now);
  }
  EXPECT_LE(ticks, 25) << "two seconds of waiting for the answer, no more";
}

}  // namespace
}  // namespace grapevine::progress
