#include <map>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/progress/leases.h"

namespace grapevine::progress {
namespace {

using ::testing::ElementsAre;

constexpr Time kStart{};
// Two data epochs of ten batches of ten samples.
constexpr LedgerOptions kOptions{.samples_per_epoch = 100, .batch_size = 10, .data_epochs = 2};

Lease Claim(LeaseId id, MemberId owner, std::vector<BatchRange> ranges) {
  return {.id = id, .owner = owner, .ranges = std::move(ranges)};
}

TEST(TakeoverTest, AnUnfinishedLeaseGoesOnWhereItWas) {
  Ledger ledger(kOptions);
  EXPECT_EQ(*ledger.Adopt(Claim(57, 3, {{0, 4, 8}, {1, 0, 2}}), 5), true);
  EXPECT_EQ(ledger.samples_done(), 50);
  EXPECT_EQ(*ledger.Report(3, 57, 6, kStart), 10);
  const Lease next = *ledger.Grant(1, 1);
  EXPECT_GT(next.id, 57u);
  EXPECT_THAT(next.ranges.front(), (BatchRange{0, 0, 4}));
}

TEST(TakeoverTest, AFinishedLeaseCountsAndIsNotOut) {
  Ledger ledger(kOptions);
  EXPECT_EQ(*ledger.Adopt(Claim(57, 3, {{0, 4, 8}}), 4), false);
  EXPECT_EQ(ledger.samples_done(), 40);
  EXPECT_EQ(ledger.leases_out(), 0u);
}

TEST(TakeoverTest, WhatTheRecordHasDoneIsNotCountedAgain) {
  Ledger ledger(kOptions);
  ASSERT_TRUE(ledger.Restore({.samples = 30, .data_epoch = 0, .done = {{0, 4, 7}}}).ok());
  EXPECT_EQ(*ledger.Adopt(Claim(57, 3, {{0, 4, 10}}), 4), true);
  EXPECT_EQ(ledger.samples_done(), 40);
  EXPECT_EQ(*ledger.Report(3, 57, 6, kStart), 20);
}

// An earlier hub took the rest of member 3's lease away and granted it to member 4, which 3 was
// never told.
TEST(TakeoverTest, WhoeverComesFirstOwnsWhatTwoClaim) {
  Ledger first(kOptions);
  EXPECT_EQ(*first.Adopt(Claim(57, 3, {{0, 0, 8}}), 2), true);
  EXPECT_EQ(*first.Adopt(Claim(60, 4, {{0, 5, 8}}), 1), false) << "3 will do them";
  EXPECT_EQ(first.samples_done(), 20);
  EXPECT_EQ(*first.Report(3, 57, 8, kStart), 60);

  Ledger other(kOptions);
  EXPECT_EQ(*other.Adopt(Claim(60, 4, {{0, 5, 8}}), 1), true);
  EXPECT_EQ(*other.Adopt(Claim(57, 3, {{0, 0, 8}}), 2), false);
  EXPECT_EQ(other.samples_done(), 30);
  EXPECT_FALSE(other.Report(3, 57, 8, kStart).ok());
  EXPECT_THAT(other.Grant(3, 1)->ranges,
              ElementsAre(BatchRange{0, 2, 5}, BatchRange{0, 8, 10}, BatchRange{1, 0, 2}));
}

TEST(TakeoverTest, AClaimThatCannotBeIsRefusedAndChangesNothing) {
  Ledger ledger(kOptions);
  ASSERT_TRUE(ledger.Adopt(Claim(7, 1, {{0, 9, 10}}), 0).ok());
  const std::pair<Lease, int64_t> claims[] = {
      {Claim(0, 3, {{0, 0, 1}}), 0}, {Claim(8, 3, {{0, 0, 11}}), 1},
      {Claim(8, 3, {{2, 0, 1}}), 1}, {Claim(8, 3, {{-1, 0, 1}}), 1},
      {Claim(8, 3, {{0, 3, 3}}), 0}, {Claim(8, 3, {{0, 0, 2}, {0, 1, 3}}), 3},
      {Claim(8, 3, {{0, 0, 2}}), 3}, {Claim(8, 3, {{0, 0, 2}}), -1},
      {Claim(7, 3, {{0, 0, 2}}), 1},
  };
  for (const auto& [claim, done] : claims) {
    EXPECT_EQ(ledger.Adopt(claim, done).status().code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(ledger.samples_done(), 0);
  EXPECT_EQ(ledger.leases_out(), 1u);
}

// Members work off leases and report; now and then the ledger is recorded, and what a member had
// reported by then it forgets. The ledger is lost at any moment, and a new one is made of the
// record and the members' claims, in any order.
class World {
 public:
  explicit World(uint32_t seed) : random_(seed), ledger_(std::make_unique<Ledger>(kOptions)) {}

  void Run() {
    for (int step = 0; !ledger_->Finished(); ++step) {
      ASSERT_LT(step, 20'000);
      const MemberId member = 1 + random_() % 3;
      switch (random_() % 10) {
        case 0:
          if (random_() % 5 == 0) TakeOver();
          break;
        case 1:
          Record();
          break;
        case 2:
        case 3:
          Report(member);
          break;
        case 4:
          if (auto lease = ledger_->Grant(member, 3)) held_[member].push_back({*lease});
          break;
        default:
          Work(member);
      }
    }
    EXPECT_EQ(ledger_->samples_done(), 200);
    EXPECT_EQ(trained_.size(), 20u);
    for (const auto& [batch, times] : trained_) EXPECT_EQ(times, 1);
  }

 private:
  struct Held {
    Lease lease;
    int64_t done = 0;
    bool reported = false;  // as finished
  };

  void Work(MemberId member) {
    for (Held& held : held_[member]) {
      if (held.done == held.lease.batches()) continue;
      int64_t skip = held.done++;
      for (const BatchRange& range : held.lease.ranges) {
        const int64_t batches = range.end_batch - range.first_batch;
        if (skip < batches) {
          ++trained_[{range.data_epoch, range.first_batch + skip}];
          return;
        }
        skip -= batches;
      }
    }
  }
  void Report(MemberId member) {
    for (Held& held : held_[member]) {
      (void)ledger_->Report(member, held.lease.id, held.done, kStart);
      held.reported = held.done == held.lease.batches();
    }
  }
  void Record() {
    record_ = ledger_->Snapshot();
    for (auto& [member, leases] : held_) {
      std::erase_if(leases, [](const Held& held) { return held.reported; });
    }
  }
  void TakeOver() {
    ledger_ = std::make_unique<Ledger>(kOptions);
    ASSERT_TRUE(ledger_->Restore(record_).ok());
    std::vector<MemberId> members = {1, 2, 3};
    std::shuffle(members.begin(), members.end(), random_);
    for (const MemberId member : members) {
      for (const Held& held : held_[member]) {
        const auto out = ledger_->Adopt(held.lease, held.done);
        ASSERT_TRUE(out.ok()) << out.status();
        EXPECT_EQ(*out, held.done < held.lease.batches());
      }
    }
  }

  std::mt19937 random_;
  std::unique_ptr<Ledger> ledger_;
  Progress record_;
  std::map<MemberId, std::vector<Held>> held_;
  std::map<std::pair<int64_t, int64_t>, int> trained_;
};

TEST(TakeoverTest, EachBatchIsTrainedOnceHoweverOftenTheLedgerIsLost) {
  for (uint32_t seed = 1; seed <= 200; ++seed) World(seed).Run();
}

}  // namespace
}  // namespace grapevine::progress
