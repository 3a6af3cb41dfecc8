#include "operator/progress/leases.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grapevine::progress {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr Time kStart{1000s};

Ledger Small() { return Ledger({.samples_per_epoch = 100, .batch_size = 10, .data_epochs = 2}); }

TEST(LedgerTest, TheLastBatchIsShort) {
  Ledger ledger({.samples_per_epoch = 25, .batch_size = 10, .data_epochs = 2});
  EXPECT_EQ(ledger.samples_total(), 50);
  ledger.SetRate(1, 1000);
  int64_t samples = 0;
  while (std::optional<Lease> lease = ledger.Grant(1, 1)) {
    samples += ledger.Report(1, lease->id, lease->batches(), kStart).value();
  }
  EXPECT_EQ(samples, 50);
  EXPECT_TRUE(ledger.Finished());
}

TEST(LedgerTest, ALastBatchOfOneSampleIsLeftOut) {
  Ledger ledger({.samples_per_epoch = 21, .batch_size = 10, .data_epochs = 3});
  EXPECT_EQ(ledger.samples_total(), 60);
}

TEST(LedgerTest, BatchesOfOneSampleAreKeptWhenAskedFor) {
  EXPECT_EQ(Ledger({.samples_per_epoch = 5, .batch_size = 1, .data_epochs = 1}).samples_total(), 5);
  EXPECT_EQ(Ledger({.samples_per_epoch = 1, .batch_size = 8, .data_epochs = 4}).samples_total(), 4);
}

TEST(LedgerTest, ALeaseIsTenSecondsOfWork) {
  Ledger ledger({.samples_per_epoch = 60'000, .batch_size = 32, .data_epochs = 10});
  ledger.SetRate(1, 320);
  EXPECT_EQ(ledger.Grant(1, 4)->batches(), 100);
}

TEST(LedgerTest, ALeaseIsAtMostItsShareOfWhatIsLeft) {
  Ledger ledger = Small();
  ledger.SetRate(1, 1e9);
  EXPECT_EQ(ledger.Grant(1, 2)->batches(), 5);  // 20 / (2 x 2)
  EXPECT_EQ(ledger.Grant(1, 2)->batches(), 3);  // 15 / 4
  EXPECT_EQ(ledger.Grant(1, 100)->batches(), 1);
}

TEST(LedgerTest, AnUnknownRateGetsAFewBatches) {
  Ledger ledger({.samples_per_epoch = 60'000, .batch_size = 32, .data_epochs = 10});
  EXPECT_EQ(ledger.Grant(1, 4)->batches(), Ledger::kFirstBatches);
}

TEST(LedgerTest, ALeaseSpansSmallDataEpochs) {
  Ledger ledger({.samples_per_epoch = 20, .batch_size = 10, .data_epochs = 50});
  ledger.SetRate(1, 5);
  EXPECT_THAT(ledger.Grant(1, 1)->ranges,
              ElementsAre(BatchRange{0, 0, 2}, BatchRange{1, 0, 2}, BatchRange{2, 0, 1}));
  ledger.SetRate(1, 1e9);
  EXPECT_THAT(ledger.Grant(1, 1)->ranges.front(), (BatchRange{2, 1, 2}));
}

TEST(LedgerTest, ALeaseNamesABoundedNumberOfRanges) {
  Ledger ledger({.samples_per_epoch = 10, .batch_size = 10, .data_epochs = 10'000});
  ledger.SetRate(1, 1e9);
  EXPECT_EQ(ledger.Grant(1, 1)->ranges.size(), Ledger::kMaxRanges);
}

TEST(LedgerTest, TheNextDataEpochOpensWhileTheLastHasLeasesOut) {
  Ledger ledger = Small();
  ledger.SetRate(1, 8);
  const Lease first = *ledger.Grant(1, 1);
  EXPECT_THAT(first.ranges, ElementsAre(BatchRange{0, 0, 8}));
  EXPECT_THAT(ledger.Grant(2, 1)->ranges, ElementsAre(BatchRange{0, 8, 10}, BatchRange{1, 0, 4}));
  EXPECT_EQ(ledger.data_epochs_complete(), 0);
  EXPECT_EQ(*ledger.Report(2, 2, 6, kStart), 60);
  EXPECT_EQ(ledger.data_epochs_complete(), 0);
  EXPECT_EQ(*ledger.Report(1, 1, 8, kStart), 80);
  EXPECT_EQ(ledger.data_epochs_complete(), 1);
  EXPECT_DOUBLE_EQ(ledger.ScheduleFraction(), 1.4);
  EXPECT_DOUBLE_EQ(ledger.percent(), 70);
}

TEST(LedgerTest, DataEpochsDoneCountSamplesOfWhicheverDataEpoch) {
  Ledger ledger = Small();
  ledger.SetRate(1, 8);
  ASSERT_THAT(ledger.Grant(1, 1)->ranges, ElementsAre(BatchRange{0, 0, 8})) << "a straggler's";
  while (ledger.samples_done() < 90) {
    const Lease lease = *ledger.Grant(2, 1);
    ASSERT_TRUE(ledger.Report(2, lease.id, lease.batches(), kStart).ok());
  }
  EXPECT_EQ(ledger.data_epochs_done(), 0);
  const Lease lease = *ledger.Grant(2, 1);
  ASSERT_TRUE(ledger.Report(2, lease.id, 1, kStart).ok());
  EXPECT_EQ(ledger.samples_done(), 100);
  EXPECT_EQ(ledger.data_epochs_done(), 1);
  EXPECT_EQ(ledger.data_epochs_complete(), 0);
}

TEST(LedgerTest, ReportsCountOnceAndInAnyRepetition) {
  Ledger ledger = Small();
  ledger.SetRate(1, 5);
  const Lease lease = *ledger.Grant(1, 1);
  EXPECT_EQ(*ledger.Report(1, lease.id, 2, kStart), 20);
  EXPECT_EQ(*ledger.Report(1, lease.id, 2, kStart), 0);
  EXPECT_EQ(*ledger.Report(1, lease.id, 1, kStart), 0);
  EXPECT_EQ(*ledger.Report(1, lease.id, 5, kStart), 30);
  EXPECT_EQ(ledger.Report(1, lease.id, 5, kStart).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ledger.samples_done(), 50);
}

TEST(LedgerTest, OnlyTheOwnerMayReport) {
  Ledger ledger = Small();
  const Lease lease = *ledger.Grant(1, 1);
  EXPECT_EQ(ledger.Report(2, lease.id, 1, kStart).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ledger.Report(1, 99, 1, kStart).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ledger.samples_done(), 0);
}

TEST(LedgerTest, ImpossibleCountsChangeNothing) {
  Ledger ledger = Small();
  ledger.SetRate(1, 5);
  const Lease lease = *ledger.Grant(1, 1);
  for (int64_t count : {int64_t{-1}, int64_t{6}, std::numeric_limits<int64_t>::max()}) {
    EXPECT_EQ(ledger.Report(1, lease.id, count, kStart).status().code(),
              absl::StatusCode::kInvalidArgument);
    EXPECT_FALSE(ledger.Return(1, lease.id, 0, count, kStart).ok());
  }
  EXPECT_FALSE(ledger.Return(1, lease.id, 3, 2, kStart).ok());
  EXPECT_EQ(*ledger.Report(1, lease.id, 3, kStart), 30);
  EXPECT_FALSE(ledger.Return(1, lease.id, 1, 2, kStart).ok());
  EXPECT_EQ(ledger.samples_done(), 30);
}

TEST(LedgerTest, WhatAReturnFreesIsGrantedFirst) {
  Ledger ledger = Small();
  ledger.SetRate(1, 5);
  const Lease lease = *ledger.Grant(1, 1);
  EXPECT_EQ(*ledger.Return(1, lease.id, 1, 2, kStart), 10);
  EXPECT_THAT(ledger.Grant(2, 1)->ranges.front(), (BatchRange{0, 2, 10}));
  EXPECT_EQ(*ledger.Report(1, lease.id, 2, kStart), 10);
  EXPECT_TRUE(ledger.LeasesOf(1).empty());
}

TEST(LedgerTest, TheSlowestHolderIsRecalledFirst) {
  Ledger ledger = Small();
  ledger.SetRate(1, 5);
  ledger.SetRate(2, 5);
  while (ledger.Grant(1, 1) && ledger.Grant(2, 1)) {
  }
  const LeaseId last = ledger.LeasesOf(2).back().id;
  ledger.SetRate(2, 0.5);
  const std::optional<RecallRequest> request = ledger.Recall(3, kStart);
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(request->owner, 2u);
  EXPECT_EQ(request->lease, last);
}

TEST(LedgerTest, NobodyIsRecalledForItselfNorTwiceNorWhileSomethingIsFree) {
  Ledger ledger({.samples_per_epoch = 20, .batch_size = 10, .data_epochs = 1});
  const Lease lease = *ledger.Grant(1, 1);
  EXPECT_FALSE(ledger.Recall(2, kStart).has_value());
  ASSERT_TRUE(ledger.Grant(1, 1).has_value());
  EXPECT_FALSE(ledger.Recall(1, kStart).has_value());
  EXPECT_TRUE(ledger.Recall(2, kStart).has_value());
  EXPECT_TRUE(ledger.Recall(2, kStart).has_value());
  EXPECT_FALSE(ledger.Recall(2, kStart).has_value());
  EXPECT_TRUE(ledger.Return(1, lease.id, 0, 1, kStart).ok());
  EXPECT_FALSE(ledger.Recall(2, kStart).has_value());
}

TEST(LedgerTest, NoAnswerInTwoSecondsLosesWhatIsUnreported) {
  Ledger ledger({.samples_per_epoch = 40, .batch_size = 10, .data_epochs = 1});
  ledger.SetRate(1, 4);
  const Lease lease = *ledger.Grant(1, 1);
  ASSERT_EQ(lease.batches(), 2);
  while (ledger.Grant(3, 1)) {
  }
  ASSERT_TRUE(ledger.Report(1, lease.id, 1, kStart).ok());
  RecallRequest asked;
  while (std::optional<RecallRequest> request = ledger.Recall(2, kStart)) asked = *request;
  EXPECT_EQ(ledger.NextExpiry(), kStart + 2s);
  EXPECT_TRUE(ledger.Expire(kStart + 1999ms).empty());
  EXPECT_EQ(ledger.Expire(kStart + 2s).size(), 3u);
  EXPECT_FALSE(ledger.NextExpiry().has_value());
  EXPECT_EQ(ledger.Report(1, lease.id, 2, kStart + 3s).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(ledger.samples_done(), 10);
  int64_t rest = 0;
  while (std::optional<Lease> again = ledger.Grant(2, 1)) {
    rest += *ledger.Report(2, again->id, again->batches(), kStart + 3s);
  }
  EXPECT_EQ(rest, 30);
  EXPECT_TRUE(ledger.Finished());
}

TEST(LedgerTest, AMemberThatAnswersButHangsLosesItsBatchAfterTenSeconds) {
  Ledger ledger({.samples_per_epoch = 10, .batch_size = 10, .data_epochs = 1});
  const Lease lease = *ledger.Grant(1, 2);
  ASSERT_TRUE(ledger.Recall(2, kStart).has_value());
  ASSERT_TRUE(ledger.Return(1, lease.id, 0, 1, kStart + 1s).ok());
  EXPECT_TRUE(ledger.Expire(kStart + 10s).empty());
  EXPECT_EQ(ledger.Expire(kStart + 11s).size(), 1u);
  const Lease again = *ledger.Grant(2, 2);
  ASSERT_TRUE(ledger.Recall(1, kStart + 11s).has_value());
  ASSERT_TRUE(ledger.Return(2, again.id, 0, 1, kStart + 11s).ok());
  EXPECT_EQ(ledger.NextExpiry(), kStart + 31s) << "patience doubles";
  EXPECT_EQ(*ledger.Report(2, again.id, 1, kStart + 30s), 10);
  EXPECT_TRUE(ledger.Finished());
}

TEST(LedgerTest, APauseThatIsForgivenPutsOffWhatExpires) {
  Ledger ledger({.samples_per_epoch = 10, .batch_size = 10, .data_epochs = 1});
  const Lease lease = *ledger.Grant(1, 2);
  ASSERT_TRUE(ledger.Recall(2, kStart).has_value());
  ledger.Forgive(30s);
  EXPECT_EQ(ledger.NextExpiry(), kStart + 32s);
  ASSERT_TRUE(ledger.Return(1, lease.id, 0, 1, kStart + 31s).ok());
  ledger.Forgive(30s);
  EXPECT_EQ(ledger.NextExpiry(), kStart + 71s);
}

TEST(LedgerTest, SuspendedItGrantsNothingButCounts) {
  Ledger ledger = Small();
  ledger.SetRate(1, 2);
  const Lease lease = *ledger.Grant(1, 1);
  ledger.SetSuspended(true);
  EXPECT_FALSE(ledger.Grant(1, 1).has_value());
  EXPECT_EQ(*ledger.Report(1, lease.id, 2, kStart), 20);
  ledger.SetSuspended(false);
  EXPECT_TRUE(ledger.Grant(1, 1).has_value());
}

TEST(LedgerTest, ACheckpointCarriesWhatIsDoneToAnyNumberOfMembers) {
  Ledger ledger = Small();
  ledger.SetRate(1, 7);
  const Lease first = *ledger.Grant(1, 1);
  const Lease second = *ledger.Grant(2, 1);
  ASSERT_TRUE(ledger.Report(1, first.id, 3, kStart).ok());
  ASSERT_TRUE(ledger.Report(2, second.id, second.batches(), kStart).ok());
  const Progress progress = ledger.Snapshot();
  EXPECT_EQ(progress.data_epoch, 0);
  EXPECT_THAT(progress.done,
              ElementsAre(BatchRange{0, 0, 3}, BatchRange{0, 7, 10}, BatchRange{1, 0, 3}));

  Ledger other = Small();
  const Lease stale = *other.Grant(9, 1);
  ASSERT_TRUE(other.Restore(progress).ok());
  EXPECT_EQ(other.samples_done(), ledger.samples_done());
  EXPECT_FALSE(other.Report(9, stale.id, 1, kStart).ok());
  const Lease next = *other.Grant(9, 1);
  EXPECT_GT(next.id, stale.id);
  EXPECT_THAT(next.ranges.front(), (BatchRange{0, 3, 7}));
  other.Reset();
  EXPECT_EQ(other.samples_done(), 0);
  EXPECT_THAT(other.Grant(9, 1)->ranges.front().first_batch, 0);
}

TEST(LedgerTest, WholeDataEpochsAreNotListedInACheckpoint) {
  Ledger ledger = Small();
  while (ledger.data_epochs_complete() < 1) {
    const Lease lease = *ledger.Grant(1, 1);
    ASSERT_TRUE(ledger.Report(1, lease.id, lease.batches(), kStart).ok());
  }
  const Progress progress = ledger.Snapshot();
  EXPECT_EQ(progress.data_epoch, 1);
  Ledger other = Small();
  ASSERT_TRUE(other.Restore(progress).ok());
  EXPECT_EQ(other.Snapshot().done, progress.done);
}

TEST(LedgerTest, RefusesProgressThatIsNotThisJobs) {
  Ledger ledger = Small();
  const Progress bad[] = {
      {.samples = 5, .data_epoch = 0, .done = {{0, 0, 1}}},
      {.samples = 10, .data_epoch = 0, .done = {{2, 0, 1}}},
      {.samples = 10, .data_epoch = 0, .done = {{0, 10, 11}}},
      {.samples = 10, .data_epoch = 0, .done = {{0, -1, 0}}},
      {.samples = 0, .data_epoch = 0, .done = {{0, 3, 3}}},
      {.samples = 110, .data_epoch = 1, .done = {{0, 0, 1}}},
      {.samples = 20, .data_epoch = 0, .done = {{0, 0, 1}, {0, 0, 1}}},
      {.samples = 300, .data_epoch = 3, .done = {}},
      {.samples = 0, .data_epoch = -1, .done = {}},
  };
  for (const Progress& progress : bad) {
    EXPECT_EQ(ledger.Restore(progress).code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(ledger.samples_done(), 0);
  EXPECT_TRUE(ledger.Grant(1, 1).has_value());
}

TEST(LedgerTest, DescribesItself) {
  Ledger ledger = Small();
  ledger.SetRate(3, 2);
  const Lease lease = *ledger.Grant(3, 1);
  ASSERT_TRUE(ledger.Report(3, lease.id, 1, kStart).ok());
  EXPECT_EQ(ledger.Describe(),
            "1 of 20 batches done, 10 of 200 samples (5.0 %), 0 of 2 data epochs complete\n"
            "free: 0:2-10 1:0-10\n"
            "lease 1 of 3: 0:0-2, 1 done\n");
}

}  // namespace
}  // namespace grapevine::progress
