#include "worker/train/lease_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <set>
#include <thread>

namespace grapevine::train {
namespace {

constexpr int64_t kBatches = 10;

LeaseQueueOptions TenBatches() { return {.batches_per_data_epoch = kBatches, .seed = 7}; }

void Train(LeaseQueue& queue, const Draw& draw) {
  ASSERT_TRUE(queue.Start(draw));
  queue.Done(draw);
}

TEST(LeaseQueue, HandsOutTheRangesInOrder) {
  LeaseQueue queue(TenBatches());
  ASSERT_TRUE(queue.Add(5, {{0, 8, 10}, {1, 0, 1}}).ok());
  ASSERT_TRUE(queue.Add(4, {{1, 4, 5}}).ok());
  EXPECT_EQ(queue.Next(), (Draw{0, 8, 5, 0}));
  EXPECT_EQ(queue.Next(), (Draw{0, 9, 5, 1}));
  EXPECT_EQ(queue.Next(), (Draw{1, 0, 5, 2}));
  EXPECT_EQ(queue.Next(), (Draw{1, 4, 4, 0}));
}

TEST(LeaseQueue, PreparedBatchesCountAsUnstarted) {
  LeaseQueue queue(TenBatches());
  ASSERT_TRUE(queue.Add(1, {{0, 0, 6}}).ok());
  const Draw first = *queue.Next();
  const Draw second = *queue.Next();
  EXPECT_EQ(queue.unstarted(), 6);
  EXPECT_TRUE(queue.Start(first));
  EXPECT_EQ(queue.unstarted(), 5);
  EXPECT_EQ(queue.Recall(1), (LeaseReturn{1, 1, 0}));
  EXPECT_EQ(queue.unstarted(), 0);
  EXPECT_FALSE(queue.Start(second));
  // The one under way is reported when it is done.
  queue.Done(first);
  EXPECT_EQ(queue.Progress(), (std::vector<LeaseProgress>{{1, 1}}));
}

TEST(LeaseQueue, RecallTwiceSaysTheSame) {
  LeaseQueue queue(TenBatches());
  ASSERT_TRUE(queue.Add(1, {{0, 0, 6}}).ok());
  Train(queue, *queue.Next());
  EXPECT_EQ(queue.Recall(1), (LeaseReturn{1, 1, 1}));
  EXPECT_EQ(queue.Recall(1), (LeaseReturn{1, 1, 1}));
}

TEST(LeaseQueue, AnUnknownLeaseHasNothingUsed) {
  LeaseQueue queue(TenBatches());
  EXPECT_EQ(queue.Recall(9), (LeaseReturn{9, 0, 0}));
}

TEST(LeaseQueue, ALeaseGrantedAgainGoesOnWhereItWas) {
  LeaseQueue queue(TenBatches());
  ASSERT_TRUE(queue.Add(1, {{0, 0, 3}}).ok());
  Train(queue, *queue.Next());
  ASSERT_TRUE(queue.Add(1, {{0, 0, 3}}).ok());
  EXPECT_EQ(queue.unstarted(), 2);
  EXPECT_EQ(queue.Next()->batch, 1);
}

TEST(LeaseQueue, RangesOutsideTheDataEpochAreRefused) {
  LeaseQueue queue(TenBatches());
  const std::vector<std::vector<BatchRange>> bad = {
      {},          {{0, 0, 11}}, {{0, -1, 2}},           {{0, 3, 3}},
      {{0, 4, 3}}, {{-1, 0, 1}}, {{0, 0, 1}, {0, 9, 11}}};
  for (const auto& ranges : bad) {
    EXPECT_EQ(queue.Add(1, ranges).code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(queue.Add(0, {{0, 0, 1}}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(queue.unstarted(), 0);
  EXPECT_TRUE(queue.Progress().empty());
}

TEST(LeaseQueue, ALeaverReturnsEveryLeaseThatIsNotFinished) {
  LeaseQueue queue(TenBatches());
  ASSERT_TRUE(queue.Add(1, {{0, 0, 1}}).ok());
  ASSERT_TRUE(queue.Add(2, {{0, 1, 4}}).ok());
  ASSERT_TRUE(queue.Add(3, {{0, 4, 6}}).ok());
  Train(queue, *queue.Next());
  Train(queue, *queue.Next());
  const Draw under_way = *queue.Next();
  ASSERT_TRUE(queue.Start(under_way));
  const Draw prepared = *queue.Next();
  EXPECT_EQ(queue.ReturnAll(), (std::vector<LeaseReturn>{{2, 2, 1}, {3, 0, 0}}));
  EXPECT_FALSE(queue.Start(prepared));
  queue.Done(under_way);
  EXPECT_EQ(queue.Progress(), (std::vector<LeaseProgress>{{1, 1}, {2, 2}, {3, 0}}));
}

// A lease of an id that is gone, with one batch under way and one prepared.
struct GoneLease {
  GoneLease() {
    EXPECT_TRUE(queue.Add(1, {{0, 0, 4}}).ok());
    under_way = *queue.Next();
    EXPECT_TRUE(queue.Start(under_way));
    prepared = *queue.Next();
    queue.Clear();
  }
  LeaseQueue queue{TenBatches()};
  Draw under_way, prepared;
};

TEST(LeaseQueue, LeasesOfAGoneIdAreDroppedWithWhatWasPreparedOfThem) {
  GoneLease gone;
  LeaseQueue& queue = gone.queue;
  EXPECT_FALSE(queue.Start(gone.prepared));
  queue.Done(gone.under_way);
  EXPECT_TRUE(queue.Progress().empty());
}

TEST(LeaseQueue, WhatWasPreparedOfAGoneIdIsNoneOfANewLeaseOfTheSameId) {
  GoneLease gone;
  LeaseQueue& queue = gone.queue;
  ASSERT_TRUE(queue.Add(1, {{0, 6, 10}}).ok());
  EXPECT_FALSE(queue.Start(gone.prepared));
  queue.Done(gone.under_way);
  EXPECT_EQ(queue.unstarted(), 4);
  EXPECT_EQ(queue.Progress(), (std::vector<LeaseProgress>{{1, 0}}));
  const Draw next = *queue.Next();
  EXPECT_EQ(next.batch, 6);
  EXPECT_TRUE(queue.Start(next));
}

// `n` leases of one batch each, done.
void TrainLeases(LeaseQueue& queue, uint64_t first, uint64_t n) {
  for (uint64_t id = first; id < first + n; ++id) {
    ASSERT_TRUE(queue.Add(id, {{0, 0, 1}}).ok());
    Train(queue, *queue.Next());
  }
}

TEST(LeaseQueue, EachFinishedLeaseIsReportedAtLeastOnceAndTheLatestAgain) {
  LeaseQueue queue(TenBatches());
  TrainLeases(queue, 1, 30);
  EXPECT_EQ(queue.Progress().size(), 30u);
  EXPECT_EQ(queue.reports(), 1u);
  const auto again = queue.Progress();
  EXPECT_EQ(again.size(), 8u);
  EXPECT_EQ(again.front(), (LeaseProgress{23, 1}));
  EXPECT_EQ(queue.reports(), 2u);
}

TEST(LeaseQueue, FinishedLeasesAreClaimedUntilTheirReportIsOnRecord) {
  LeaseQueue queue(TenBatches());
  TrainLeases(queue, 1, 2);
  queue.Progress();
  TrainLeases(queue, 3, 1);
  queue.Forget(queue.reports());
  EXPECT_EQ(queue.Claims(), (std::vector<LeaseClaim>{{3, {{0, 0, 1}}, 1}}))
      << "it was finished after the report";
  queue.Progress();
  queue.Forget(1);
  EXPECT_EQ(queue.Claims().size(), 1u);
  queue.Forget(2);
  EXPECT_TRUE(queue.Claims().empty());
}

TEST(LeaseQueue, AClaimIsOfWhatWasNotGivenBack) {
  LeaseQueue queue(TenBatches());
  ASSERT_TRUE(queue.Add(1, {{0, 8, 10}, {1, 0, 5}}).ok());
  ASSERT_TRUE(queue.Add(2, {{1, 5, 7}}).ok());
  for (int i = 0; i < 3; ++i) Train(queue, *queue.Next());
  EXPECT_EQ(queue.Claims(),
            (std::vector<LeaseClaim>{{1, {{0, 8, 10}, {1, 0, 5}}, 3}, {2, {{1, 5, 7}}, 0}}));
  queue.Recall(1);
  queue.Recall(2);
  EXPECT_EQ(queue.Claims(), (std::vector<LeaseClaim>{{1, {{0, 8, 10}, {1, 0, 1}}, 3}}));
}

TEST(LeaseQueue, ARecordThatNeverComesCostsABoundedMemory) {
  LeaseQueue queue(TenBatches());
  for (uint64_t i = 0; i < 5; ++i) {
    TrainLeases(queue, 1 + 100 * i, 100);
    EXPECT_GE(queue.Progress().size(), 100u);
  }
  queue.Progress();
  const auto claims = queue.Claims();
  EXPECT_EQ(claims.size(), LeaseQueue::kMostFinished);
  EXPECT_EQ(claims.back().lease, 500u);
}

TEST(LeaseQueue, DrawsAtRandomOnlyWithoutHubAndWithoutLeases) {
  LeaseQueue queue(TenBatches());
  ASSERT_TRUE(queue.Add(1, {{3, 0, 1}}).ok());
  queue.SetConnected(false);
  EXPECT_TRUE(queue.Next()->leased());
  std::set<int64_t> batches;
  for (int i = 0; i < 200; ++i) {
    const Draw draw = *queue.Next();
    EXPECT_FALSE(draw.leased());
    EXPECT_EQ(draw.data_epoch, 3);
    batches.insert(draw.batch);
  }
  EXPECT_EQ(batches.size(), static_cast<size_t>(kBatches));
  EXPECT_EQ(*batches.rbegin(), kBatches - 1);
}

TEST(LeaseQueue, ARandomBatchGivesWayToALease) {
  LeaseQueue queue(TenBatches());
  queue.SetConnected(false);
  const Draw random = *queue.Next();
  queue.SetConnected(true);
  EXPECT_TRUE(queue.Start(random));
  ASSERT_TRUE(queue.Add(1, {{0, 0, 1}}).ok());
  EXPECT_FALSE(queue.Start(random));
}

TEST(LeaseQueue, MembersDrawDifferently) {
  LeaseQueue one({.batches_per_data_epoch = 1000, .seed = 1});
  LeaseQueue other({.batches_per_data_epoch = 1000, .seed = 2});
  one.SetConnected(false);
  other.SetConnected(false);
  int equal = 0;
  for (int i = 0; i < 100; ++i) equal += one.Next() == other.Next() ? 1 : 0;
  EXPECT_LT(equal, 5);
}

TEST(LeaseQueue, NextWaitsForALease) {
  LeaseQueue queue(TenBatches());
  auto next = std::async(std::launch::async, [&] { return queue.Next(); });
  ASSERT_TRUE(queue.Add(1, {{0, 2, 3}}).ok());
  EXPECT_EQ(next.get()->batch, 2);
}

TEST(LeaseQueue, NextWakesWhenTheHubGoesAway) {
  LeaseQueue queue(TenBatches());
  auto next = std::async(std::launch::async, [&] { return queue.Next(); });
  queue.SetConnected(false);
  EXPECT_FALSE(next.get()->leased());
}

TEST(LeaseQueue, StopEndsEveryNext) {
  LeaseQueue queue(TenBatches());
  auto next = std::async(std::launch::async, [&] { return queue.Next(); });
  queue.Stop();
  EXPECT_EQ(next.get(), std::nullopt);
  ASSERT_TRUE(queue.Add(1, {{0, 0, 1}}).ok());
  EXPECT_EQ(queue.Next(), std::nullopt);
}

TEST(LeaseQueue, TellsWhenTrainingStarves) {
  std::vector<bool> told;
  auto options = TenBatches();
  options.on_starved = [&](bool starved) { told.push_back(starved); };
  LeaseQueue queue(options);
  EXPECT_TRUE(told.empty());  // starving is where it begins
  ASSERT_TRUE(queue.Add(1, {{0, 0, 2}}).ok());
  EXPECT_EQ(told, (std::vector<bool>{false}));
  Train(queue, *queue.Next());
  EXPECT_EQ(told.size(), 1u);
  const Draw last = *queue.Next();
  ASSERT_TRUE(queue.Start(last));
  EXPECT_EQ(told.size(), 1u);  // there is still a batch to train on
  queue.Done(last);
  EXPECT_EQ(told, (std::vector<bool>{false, true}));
  queue.SetConnected(false);  // trains at random now
  EXPECT_EQ(told, (std::vector<bool>{false, true, false}));
  queue.SetConnected(true);
  EXPECT_EQ(told, (std::vector<bool>{false, true, false, true}));
  ASSERT_TRUE(queue.Add(2, {{0, 0, 2}}).ok());
  queue.Recall(2);
  EXPECT_EQ(told, (std::vector<bool>{false, true, false, true, false, true}));
}

TEST(LeaseQueue, EveryBatchIsTrainedOnceWhileLeasesComeAndGo) {
  std::atomic<bool> starved = true;
  auto options = LeaseQueueOptions{.batches_per_data_epoch = 1000};
  options.on_starved = [&](bool now) { starved = now; };
  LeaseQueue queue(options);
  std::vector<int64_t> trained;
  std::thread trainer([&] {
    std::deque<Draw> prepared;
    while (true) {
      const auto draw = queue.Next();
      if (!draw.has_value()) return;
      prepared.push_back(*draw);
      if (prepared.size() < 3 && draw->batch != 999) continue;
      for (const Draw& one : prepared) {
        if (!queue.Start(one)) continue;
        trained.push_back(one.batch);
        queue.Done(one);
      }
      prepared.clear();
    }
  });
  // Each lease asks for all that is left; all but the last are recalled at some moment.
  int64_t first = 0;
  uint64_t id = 0;
  while (first < 1000 && id < 50) {
    ASSERT_TRUE(queue.Add(++id, {{0, first, 1000}}).ok());
    std::this_thread::yield();
    queue.Progress();
    first += queue.Recall(id).first_unused;
  }
  if (first < 1000) {
    ASSERT_TRUE(queue.Add(++id, {{0, first, 1000}}).ok());
    while (!starved) std::this_thread::yield();
  }
  queue.Stop();
  trainer.join();
  ASSERT_EQ(trained.size(), 1000u);
  std::sort(trained.begin(), trained.end());
  for (int64_t b = 0; b < 1000; ++b) EXPECT_EQ(trained[b], b);
}

}  // namespace
}  // namespace grapevine::train
