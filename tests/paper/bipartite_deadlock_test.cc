#include <set>

#include "gtest/gtest.h"
#include "tests/simulation/gossip_world.h"

namespace grapevine::gossip {
namespace {

// Lian et al., "Asynchronous Decentralized Parallel Stochastic Gradient Descent" (ICML 2018), on
// deadlock: workers that wait for each other in a ring can wait for ever; on a bipartite graph
// where only active workers begin and passive ones only answer, no such ring can form.

// Whether following "has offered to, and waits for an answer" from any member leads back to it.
bool WaitsInARing(const GossipWorld& world) {
  for (MemberId start = 1; start <= world.size(); ++start) {
    std::set<MemberId> seen;
    MemberId at = start;
    while (seen.insert(at).second) {
      const auto& exchange = world.engine(at).exchange();
      if (!exchange || exchange->state() != Exchange::State::kOffered) break;
      at = exchange->terms().peer;
      if (at == start) return true;
    }
  }
  return false;
}

void RunClosely(GossipWorld& world, int rounds, bool& ring) {
  for (int i = 0; i < rounds; ++i) {
    world.RunFor(100us);
    ring |= WaitsInARing(world);
  }
}

TEST(Paper, OnABipartiteGraphNoRingOfWaitingForms) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    GossipWorld world({.seed = seed, .members = 6});
    for (MemberId id = 1; id <= 6; ++id) world.Tell(id, BackToBackSet{true});
    // The ring 1-4-2-5-3-6-1, which is the graph of the paper's counter-example with both colours.
    world.SetView(1, Side::kActive, {4, 6});
    world.SetView(2, Side::kActive, {4, 5});
    world.SetView(3, Side::kActive, {5, 6});
    world.SetView(4, Side::kPassive, {1, 2});
    world.SetView(5, Side::kPassive, {2, 3});
    world.SetView(6, Side::kPassive, {1, 3});
    bool ring = false;
    RunClosely(world, 5000, ring);
    EXPECT_FALSE(ring);
    EXPECT_EQ(world.violation(), "");
    for (MemberId id = 1; id <= 6; ++id) EXPECT_GT(world.engine(id).counts().completed, 10);
  }
}

// What the rule cannot promise while a new colouring spreads: three members that all believe to be
// active offer in a ring. Here each answers at once instead of waiting, so the ring dissolves
// within a round trip.
TEST(Paper, WithoutBipartitenessARingOfOffersDissolvesByAnsweringAtOnce) {
  GossipWorld world({.seed = 1, .members = 3});
  for (MemberId id = 1; id <= 3; ++id) world.Tell(id, BackToBackSet{true});
  world.SetView(1, Side::kActive, {2});
  world.SetView(2, Side::kActive, {3});
  world.SetView(3, Side::kActive, {1});
  EXPECT_TRUE(WaitsInARing(world));
  bool ring = false;
  RunClosely(world, 5000, ring);
  for (MemberId id = 1; id <= 3; ++id) {
    const auto& begun = world.engine(id).counts().begun;
    EXPECT_GT(begun.busy + begun.refused, 1);
    EXPECT_EQ(begun.timed_out, 0);
  }
  // Once the views agree, they exchange.
  world.SetBipartite({1}, {2, 3});
  world.RunFor(5s);
  for (MemberId id = 1; id <= 3; ++id) EXPECT_GT(world.engine(id).counts().completed, 10);
  EXPECT_EQ(world.Torn(), 0);
}

// Algorithm 1 asks for a doubly stochastic W_k. Told apart by what it does: the mean of the models
// stays (columns sum to one), and equal models stay equal (rows sum to one).
TEST(Paper, PairwiseAveragingIsDoublyStochastic) {
  GossipWorld world({.seed = 7, .members = 2});
  world.SetBipartite({1}, {2});
  const double before = world.sum();
  world.Tell(1, StepsMade{1});
  world.RunFor(1s);
  EXPECT_EQ(world.Completed(), 1);
  EXPECT_NEAR(world.sum(), before, 1e-5);
  EXPECT_LT(world.Spread(), 1e-6);
  world.Tell(1, StepsMade{1});
  world.RunFor(1s);
  EXPECT_EQ(world.Completed(), 2);
  EXPECT_LT(world.Spread(), 1e-6);
}

}  // namespace
}  // namespace grapevine::gossip
