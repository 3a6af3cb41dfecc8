#include "tests/simulation/operator_world.h"

#include "gtest/gtest.h"
#include "operator/api/training_job.h"
#include "operator/base/log.h"
#include "tests/short_tests.h"

namespace grapevine::simulation {
namespace {

// Anything that may happen, once.
void DoSomething(OperatorWorld& world) {
  const uint64_t drawn = world.Draw(100);
  const int node = static_cast<int>(world.Draw(4));
  if (drawn < 25) {
    world.Scale(static_cast<int>(1 + world.Draw(6)));
  } else if (drawn < 36) {
    world.KillPod();
  } else if (drawn < 39) {
    world.Suspend(true);
  } else if (drawn < 52) {
    world.Suspend(false);
  } else if (drawn < 57) {
    world.LoseNode(node);
  } else if (drawn < 64) {
    world.FindNode(node);
  } else if (drawn < 80) {
    world.KillOperator(static_cast<int>(world.Draw(6)));
  } else if (drawn < 88) {
    world.FailCalls(static_cast<int64_t>(world.Draw(2000)) * 1ms);
  } else if (drawn < 95) {
    world.DelayNews(static_cast<int64_t>(world.Draw(3000)) * 1ms);
  } else {
    world.ClearFinishedPods();
  }
}

void Live(OperatorWorld& world, int steps) {
  for (int i = 0; i < steps && world.violation().empty(); ++i) {
    DoSomething(world);
    world.RunFor(static_cast<int64_t>(world.Draw(world.Draw(20) == 0 ? 6000 : 400)) * 1ms);
  }
}

// No more faults: what is asked for comes.
void ExpectThatItSettles(OperatorWorld& world, int members) {
  for (int node = 0; node < 4; ++node) world.FindNode(node);
  world.Suspend(false);
  world.Scale(members);
  EXPECT_TRUE(world.RunUntil(120s, [&] { return world.Settled(members); })) << world.Describe();
  // And stays.
  const int before = world.active();
  world.RunFor(30s);
  EXPECT_TRUE(world.Settled(members)) << world.Describe();
  EXPECT_EQ(world.active(), before);
}

class OperatorWorldTest : public ::testing::TestWithParam<uint64_t> {
 protected:
  static void SetUpTestSuite() { ASSERT_TRUE(StartLog({.level = "error"}).ok()); }
};

TEST_P(OperatorWorldTest, LosesNothingAndDoesNothingTwiceWhateverHappens) {
  OperatorWorld world({.seed = GetParam()});
  const int steps = ShortTests() ? 300 : 1000;
  Live(world, steps);
  ASSERT_EQ(world.violation(), "");
  ExpectThatItSettles(world, 5);
  ASSERT_EQ(world.violation(), "");
  EXPECT_GT(world.operators(), steps * 3 / 100);
  EXPECT_GT(world.registered(), static_cast<uint64_t>(steps) * 15 / 100);

  world.RequestStop();
  EXPECT_TRUE(world.RunUntil(60s, [&] { return world.IsTrue(api::kFailed); })) << world.Describe();
  world.RunFor(30s);
  EXPECT_EQ(world.active(), 0) << world.Describe();
  EXPECT_EQ(world.violation(), "");
}

INSTANTIATE_TEST_SUITE_P(Seeds, OperatorWorldTest, ::testing::Values(1, 2, 3, 4, 5));

TEST_F(OperatorWorldTest, TheSameSeedGivesTheSameRun) {
  const auto run = [](uint64_t seed) {
    OperatorWorld world({.seed = seed});
    std::string text;
    for (int i = 0; i < (ShortTests() ? 7 : 20); ++i) {
      Live(world, 10);
      text += world.Describe() + "\n";
    }
    return text;
  };
  EXPECT_EQ(run(7), run(7));
  EXPECT_NE(run(7), run(8));
}

}  // namespace
}  // namespace grapevine::simulation
