#include "tests/simulation/gossip_world.h"

#include <algorithm>
#include <cmath>

#include "gtest/gtest.h"

namespace grapevine::gossip {
namespace {

std::vector<MemberId> Alive(const GossipWorld& world) {
  std::vector<MemberId> alive;
  for (MemberId id = 1; id <= world.size(); ++id) {
    if (world.alive(id)) alive.push_back(id);
  }
  return alive;
}

// Colours the living at random, both sides equal within one, every edge across.
void Recolour(GossipWorld& world) {
  auto ids = Alive(world);
  std::ranges::shuffle(ids, world.random());
  const auto middle = ids.begin() + static_cast<ptrdiff_t>(ids.size() / 2);
  world.SetBipartite({ids.begin(), middle}, {middle, ids.end()});
}

void TrainFor(GossipWorld& world, int steps, Duration step) {
  for (int i = 0; i < steps; ++i) {
    for (MemberId id : Alive(world)) {
      if (world.random()() % 2 == 0) world.ApplyGradient(id);
    }
    world.RunFor(step);
  }
}

// Views and gradients stop, what is under way ends.
void Quiesce(GossipWorld& world) {
  for (MemberId id : Alive(world)) {
    world.Tell(id, StopBegun{});
  }
  world.RunFor(30s);
  for (MemberId id : Alive(world)) EXPECT_FALSE(world.engine(id).exchange().has_value()) << id;
}

TEST(GossipWorld, TheSumIsKeptInEveryEncodingWithGradientsAtAnyTime) {
  for (Encoding encoding : {Encoding::kFloat32, Encoding::kBFloat16, Encoding::kInt8}) {
    for (uint64_t seed = 1; seed <= 5; ++seed) {
      GossipWorld world(
          {.seed = seed, .members = 8, .policy = {.per_step = 1, .encoding = encoding}});
      Recolour(world);
      TrainFor(world, 400, 3ms);
      Quiesce(world);
      EXPECT_EQ(world.violation(), "");
      EXPECT_EQ(world.Torn(), 0);
      EXPECT_GT(world.Completed(), 200);
      EXPECT_NEAR(world.sum(), world.expected_sum(), 1e-3) << "seed " << seed;
    }
  }
}

TEST(GossipWorld, TheSameSeedGivesTheSameRun) {
  const auto run = [](uint64_t seed) {
    GossipWorld world({.seed = seed, .members = 6});
    Recolour(world);
    TrainFor(world, 100, 2ms);
    return std::pair(world.sum(), world.Completed());
  };
  EXPECT_EQ(run(3), run(3));
  EXPECT_NE(run(3), run(4));
}

TEST(GossipWorld, ReColouringAtAnyMomentNeitherTearsNorStops) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    GossipWorld world({.seed = seed, .members = 7});
    for (MemberId id = 1; id <= 7; ++id) world.Tell(id, BackToBackSet{true});
    for (int i = 0; i < 50; ++i) {
      // One by one, so that for a while two members of one side take each other for the other.
      Recolour(world);
      TrainFor(world, 3, 1ms);
    }
    const int64_t before = world.Completed();
    world.RunFor(1s);
    EXPECT_GT(world.Completed(), before + 100) << "seed " << seed;
    Quiesce(world);
    EXPECT_EQ(world.violation(), "");
    EXPECT_EQ(world.Torn(), 0) << "seed " << seed;
    EXPECT_NEAR(world.sum(), world.expected_sum(), 1e-3) << "seed " << seed;
  }
}

TEST(GossipWorld, WhateverBreaksOrDiesTheOthersGoOn) {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    GossipWorld world({.seed = seed, .members = 8, .least_delay = 1ms, .most_delay = 5ms});
    for (MemberId id = 1; id <= 8; ++id) world.Tell(id, BackToBackSet{true});
    Recolour(world);
    MemberId frozen = 0;
    for (int i = 0; i < 60; ++i) {
      const MemberId a = 1 + world.random()() % 8, b = 1 + world.random()() % 8;
      switch (world.random()() % 5) {
        case 0:
          if (a != b) world.BreakLink(a, b);
          break;
        case 1:
          if (Alive(world).size() > 4 && a != frozen) world.Kill(a);
          break;
        case 2:
          if (frozen == 0 && world.alive(a)) world.Freeze(frozen = a, true);
          break;
        case 3:
          if (frozen != 0) world.Freeze(std::exchange(frozen, 0), false);
          break;
        default:
          Recolour(world);
      }
      TrainFor(world, 2, Duration(static_cast<int64_t>(world.random()() % 400'000'000)));
    }
    if (frozen != 0) world.Freeze(frozen, false);

    // The faults are over. Each one exchanges again with somebody.
    Recolour(world);
    world.RunFor(12s);
    std::map<MemberId, int64_t> before;
    for (MemberId id : Alive(world)) before[id] = world.engine(id).counts().completed;
    world.RunFor(12s);
    for (MemberId id : Alive(world)) {
      EXPECT_GT(world.engine(id).counts().completed, before[id]) << id << " of seed " << seed;
    }
    EXPECT_EQ(world.violation(), "");
    EXPECT_LT(world.Spread(), 1e-3) << "seed " << seed;
  }
}

TEST(GossipWorld, AMemberThatFreezesCostsEachNeighbourOneTimeoutAtMost) {
  GossipWorld world({.seed = 1, .members = 6});
  for (MemberId id = 1; id <= 6; ++id) world.Tell(id, BackToBackSet{true});
  world.SetBipartite({1, 2, 3}, {4, 5, 6});
  world.RunFor(1s);
  world.Freeze(4, true);
  const int64_t before = world.Completed();
  world.RunFor(5s);
  for (MemberId id : {1, 2, 3}) {
    const auto& begun = world.engine(id).counts().begun;
    EXPECT_LE(begun.timed_out + begun.torn, 1) << id;
  }
  EXPECT_GT(world.Completed(), before + 1000);
  EXPECT_EQ(world.violation(), "");
}

TEST(GossipWorld, AfterFinishAllSettle) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    GossipWorld world(
        {.seed = seed, .members = 9, .policy = {.per_step = 1, .encoding = Encoding::kInt8}});
    Recolour(world);
    TrainFor(world, 20, 3ms);
    for (MemberId id = 1; id <= 9; ++id) {
      EXPECT_FALSE(world.engine(id).counts().settled);
      world.Tell(id, FinishBegun{});
      EXPECT_FALSE(world.engine(id).counts().settled);
    }
    world.RunFor(10s);
    for (MemberId id = 1; id <= 9; ++id) EXPECT_TRUE(world.engine(id).counts().settled) << id;
    EXPECT_LT(world.Spread(), 1e-3);
    EXPECT_EQ(world.violation(), "");
  }
}

}  // namespace
}  // namespace grapevine::gossip
