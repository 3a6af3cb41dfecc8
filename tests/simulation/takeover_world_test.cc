#include "tests/simulation/takeover_world.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/base/log.h"
#include "operator/training_job/apply.h"

namespace grapevine::simulation {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

std::vector<uint64_t> MembersOf(const topology::Snapshot& snapshot) {
  std::vector<uint64_t> ids;
  for (const auto& view : snapshot.registrants) {
    if (view.rules.member) ids.push_back(view.rules.id);
  }
  return ids;
}

// Of the whole job, as its status says it in the end.
void ExpectWholeAndSucceeded(TakeoverWorld& world, const WorldOptions& options) {
  ASSERT_TRUE(world.Over());
  const auto status = api::StatusFromJson(world.Status(training_job::kTrainingJobs));
  EXPECT_TRUE(api::IsTrue(status.conditions, api::kSucceeded))
      << world.Status(training_job::kTrainingJobs).dump(1);
  EXPECT_EQ(status.progress.samples, options.data_epochs * TakeoverWorld::kSamples);
  EXPECT_THAT(world.trained,
              SizeIs(options.data_epochs * TakeoverWorld::kSamples / TakeoverWorld::kBatch));
  EXPECT_THAT(world.problems, IsEmpty());
}

class Takeover : public ::testing::TestWithParam<uint32_t> {
 protected:
  // Thousands of lines a run; a failure is run again with them.
  static void SetUpTestSuite() { StartLog({.level = "off"}).IgnoreError(); }
};

// Nobody but leaders is lost: then nothing is done twice, and no worker notices more than views.
TEST_P(Takeover, NoWorkerBeginsAgainAndEachBatchIsTrainedOnce) {
  const WorldOptions options{.seed = GetParam()};
  TakeoverWorld world(options);
  ASSERT_TRUE(world.RunUntil(20s, [&] { return world.trainers() == 4; }));
  world.Run(600s);
  ExpectWholeAndSucceeded(world, options);
  for (const auto& [batch, times] : world.trained) {
    EXPECT_EQ(times, 1) << batch.first << ":" << batch.second;
  }
  EXPECT_EQ(world.pods(), static_cast<size_t>(options.workers));
  for (const auto& [pod, worker] : world.workers) {
    EXPECT_EQ(worker->parts.starts, 1) << pod;
    EXPECT_EQ(worker->parts.ids.size(), 1u) << pod;
  }
}

// Leaders die between telling members of a new graph and writing it down, and workers die too.
TEST_P(Takeover, WhateverIsLostNoEpochRepeatsAndEachSampleCountsOnce) {
  const WorldOptions options{.seed = GetParam(), .workers = 5, .graph_failures = 0.5, .deaths = 4};
  TakeoverWorld world(options);
  world.Run(600s);
  ExpectWholeAndSucceeded(world, options);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Takeover, ::testing::Range(uint32_t{1}, uint32_t{21}));

TEST(Takeover, ANewLeaderHasRosterGraphEpochAndProgressAsTheyWere) {
  StartLog({.level = "off"}).IgnoreError();
  TakeoverWorld world({.data_epochs = 100});
  ASSERT_TRUE(world.RunUntil(20s, [&] { return world.Observe().samples > 2000; }));
  ASSERT_EQ(MembersOf(world.Observe()).size(), 4u);
  const topology::Snapshot before = world.Observe();
  world.KillLeader();
  world.StartLeader();
  world.Step();
  EXPECT_EQ(MembersOf(world.Observe()), MembersOf(before));
  EXPECT_EQ(*world.Observe().graph, *before.graph);
  EXPECT_EQ(world.Observe().epoch, before.epoch);
  ASSERT_TRUE(world.RunUntil(3s, [&] {
    const auto registrants = world.Observe().registrants;
    return std::ranges::all_of(registrants, [](const auto& r) { return r.connected; });
  }));
  EXPECT_GE(world.Observe().samples, before.samples);
  EXPECT_EQ(world.Observe().epoch, before.epoch) << "nobody came or left";
}

TEST(Takeover, WhoDoesNotComeBackIsLostAfterFiveSecondsAndTheRestTrainsOn) {
  StartLog({.level = "off"}).IgnoreError();
  TakeoverWorld world({.data_epochs = 100});
  ASSERT_TRUE(world.RunUntil(20s, [&] { return world.Observe().samples > 2000; }));
  const uint64_t epoch = world.Observe().epoch;
  world.KillLeader();
  Worker& absent = *world.workers.begin()->second;
  absent.alive = false;  // its pod is still there
  world.StartLeader();
  world.RunUntil(4s, [] { return false; });
  EXPECT_EQ(MembersOf(world.Observe()).size(), 4u);
  const int64_t samples = world.Observe().samples;
  world.RunUntil(3s, [] { return false; });
  EXPECT_EQ(MembersOf(world.Observe()).size(), 3u);
  EXPECT_GT(world.Observe().epoch, epoch);
  world.RunUntil(2s, [] { return false; });
  EXPECT_GT(world.Observe().samples, samples);
  EXPECT_THAT(world.problems, IsEmpty());
}

TEST(Takeover, ARosterDoesNotEmptyBecauseItsLeaderIsHardToFind) {
  StartLog({.level = "off"}).IgnoreError();
  TakeoverWorld world({.data_epochs = 100});
  ASSERT_TRUE(world.RunUntil(20s, [&] { return world.Observe().samples > 2000; }));
  world.KillLeader();
  for (auto& [pod, worker] : world.workers) worker->alive = false;
  world.StartLeader();
  world.RunUntil(20s, [] { return false; });
  EXPECT_EQ(MembersOf(world.Observe()).size(), 4u);
  for (auto& [pod, worker] : world.workers) worker->alive = true;
  world.RunUntil(4s, [] { return false; });
  EXPECT_EQ(MembersOf(world.Observe()).size(), 4u);
  for (auto& [pod, worker] : world.workers) EXPECT_EQ(worker->parts.starts, 1);
}

}  // namespace
}  // namespace grapevine::simulation
