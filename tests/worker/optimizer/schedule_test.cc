#include "worker/optimizer/schedule.h"

#include <gtest/gtest.h>

namespace grapevine::optimizer {
namespace {

TEST(ScheduleTest, IsLinearInTheRoster) {
  for (int members : {1, 2, 7}) {
    Schedule schedule({.learning_rate = 0.025});
    EXPECT_DOUBLE_EQ(schedule.Rate(0, members), 0.025 * members);
  }
}

TEST(ScheduleTest, WarmsUpFromATenthOverFractionsOfADataEpoch) {
  Schedule schedule({.learning_rate = 1, .warmup_data_epochs = 0.5});
  EXPECT_DOUBLE_EQ(schedule.Rate(0, 1), 0.1);
  EXPECT_DOUBLE_EQ(schedule.Rate(0.25, 1), 0.55);
  EXPECT_DOUBLE_EQ(schedule.Rate(0.5, 1), 1);
  EXPECT_DOUBLE_EQ(schedule.Rate(3, 1), 1);
}

TEST(ScheduleTest, FallsAtEachMilestone) {
  Schedule schedule({.learning_rate = 1, .milestones = {2, 3.5}, .factor = 0.1});
  EXPECT_DOUBLE_EQ(schedule.Rate(1.999, 1), 1);
  EXPECT_DOUBLE_EQ(schedule.Rate(2, 1), 0.1);
  EXPECT_DOUBLE_EQ(schedule.Rate(3.5, 1), 0.1 * 0.1);
  EXPECT_DOUBLE_EQ(schedule.Rate(0, 1), 1);  // a checkpoint was restored
}

TEST(ScheduleTest, FollowsAChangeOfTheRosterSmoothly) {
  Schedule schedule({.learning_rate = 1});
  EXPECT_DOUBLE_EQ(schedule.Rate(1, 4), 4);
  EXPECT_DOUBLE_EQ(schedule.Rate(1, 6), 4);  // nothing was trained since
  double last = 4;
  for (double position = 1.01; position < 1.1; position += 0.01) {
    const double rate = schedule.Rate(position, 6);
    EXPECT_GT(rate, last);
    EXPECT_LT(rate - last, 0.25);
    last = rate;
  }
  EXPECT_NEAR(schedule.Rate(2, 6), 6, 1e-3);
  EXPECT_NEAR(schedule.Rate(2.05, 1), 1 + 5 * 0.6065, 1e-3);
  EXPECT_NEAR(schedule.Rate(3, 1), 1, 1e-3);
}

// Many small steps or one large one: what counts is how far the job has come.
TEST(ScheduleTest, DoesNotDependOnHowOftenItIsAsked) {
  Schedule often({.learning_rate = 1}), seldom({.learning_rate = 1});
  often.Rate(0, 2);
  seldom.Rate(0, 2);
  for (int i = 1; i <= 100; ++i) often.Rate(i * 0.001, 8);
  EXPECT_NEAR(often.Rate(0.1, 8), seldom.Rate(0.1, 8), 1e-9);
}

}  // namespace
}  // namespace grapevine::optimizer
