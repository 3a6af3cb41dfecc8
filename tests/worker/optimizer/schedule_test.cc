#include "worker/optimizer/schedule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace grapevine::optimizer {
namespace {

// After as many steps as any roster of these tests takes to be followed.
double Settled(Schedule& schedule, double data_epochs, int members) {
  for (int step = 0; step < 1000; ++step) schedule.NextRate(data_epochs, members);
  return schedule.NextRate(data_epochs, members);
}

TEST(ScheduleTest, GrowsWithTheRosterAsTheScalingSays) {
  struct Row {
    Scaling scaling;
    int members;
    double times;
  };
  for (const Row& row :
       {Row{Scaling::kLinear, 1, 1}, Row{Scaling::kLinear, 2, 2}, Row{Scaling::kLinear, 7, 7},
        Row{Scaling::kSqrt, 1, 1}, Row{Scaling::kSqrt, 2, std::sqrt(2.0)},
        Row{Scaling::kSqrt, 9, 3}, Row{Scaling::kNone, 1, 1}, Row{Scaling::kNone, 40, 1}}) {
    Schedule schedule({.learning_rate = 0.025, .scaling = row.scaling});
    EXPECT_DOUBLE_EQ(Settled(schedule, 0, row.members), 0.025 * row.times) << row.members;
  }
}

TEST(ScheduleTest, WarmsUpFromATenthOverFractionsOfADataEpoch) {
  Schedule schedule({.learning_rate = 1, .warmup_data_epochs = 0.5});
  EXPECT_DOUBLE_EQ(schedule.NextRate(0, 1), 0.1);
  EXPECT_DOUBLE_EQ(schedule.NextRate(0.25, 1), 0.55);
  EXPECT_DOUBLE_EQ(schedule.NextRate(0.5, 1), 1);
  EXPECT_DOUBLE_EQ(schedule.NextRate(3, 1), 1);
}

TEST(ScheduleTest, FallsAtEachMilestone) {
  Schedule schedule({.learning_rate = 1, .milestones = {2, 3.5}, .factor = 0.1});
  EXPECT_DOUBLE_EQ(schedule.NextRate(1.999, 1), 1);
  EXPECT_DOUBLE_EQ(schedule.NextRate(2, 1), 0.1);
  EXPECT_DOUBLE_EQ(schedule.NextRate(3.5, 1), 0.1 * 0.1);
  EXPECT_DOUBLE_EQ(schedule.NextRate(0, 1), 1);  // a checkpoint was restored
}

// Own steps that a member takes until its rate is that of the roster, to within rounding.
int StepsToFollow(Schedule& schedule, int members, double data_epochs_per_step) {
  double position = 1;
  for (int step = 0; step < 10'000; ++step, position += data_epochs_per_step) {
    if (schedule.NextRate(position, members) > 0.9999 * members) return step;
  }
  return -1;
}

// A data epoch of digits is 90 own steps of one member and 2 of each of 40.
TEST(ScheduleTest, BeginsAtTheRateOfOneMemberWhateverTheRosterAndTheData) {
  for (const double data_epochs_per_step : {1e-5, 1.0 / 90, 0.5, 3.0}) {
    for (const auto& [members, steps] :
         {std::pair{1, 0}, {2, 50}, {8, 150}, {40, 267}, {1000, 499}}) {
      Schedule schedule({.learning_rate = 1});
      EXPECT_NEAR(StepsToFollow(schedule, members, data_epochs_per_step), steps, 1)
          << members << " members";
    }
  }
}

TEST(ScheduleTest, DoesNotJumpWithTheRoster) {
  Schedule schedule({.learning_rate = 1});
  EXPECT_DOUBLE_EQ(Settled(schedule, 1, 2), 2);
  double last = 2;
  for (int step = 0; step < 99; ++step) {
    const double rate = schedule.NextRate(1, 8);
    EXPECT_LE(rate, last * 1.015);
    EXPECT_GE(rate, last);
    last = rate;
  }
  EXPECT_LT(last, 8);
  EXPECT_DOUBLE_EQ(Settled(schedule, 1, 8), 8);
}

TEST(ScheduleTest, FollowsARosterThatShrinksAtOnce) {
  Schedule schedule({.learning_rate = 1});
  Settled(schedule, 1, 8);
  EXPECT_DOUBLE_EQ(schedule.NextRate(1, 3), 3);
  EXPECT_DOUBLE_EQ(schedule.NextRate(1, 1), 1);
  EXPECT_LT(schedule.NextRate(1, 8), 1.02) << "who was away is met anew";
}

// Steps while nobody else is there do not count as warm-up for those who come.
TEST(ScheduleTest, DoesNotSaveUpStepsForALargerRoster) {
  Schedule schedule({.learning_rate = 1});
  Settled(schedule, 0, 1);
  EXPECT_LT(schedule.NextRate(0, 40), 1.02);
}

}  // namespace
}  // namespace grapevine::optimizer
