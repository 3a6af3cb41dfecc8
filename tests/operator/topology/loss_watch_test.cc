#include "operator/topology/loss_watch.h"

#include <limits>
#include <optional>

#include "gtest/gtest.h"

namespace grapevine::topology {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

TEST(LossWatch, CountsFromTheFirstLossThatIsTooHigh) {
  LossWatch watch;
  EXPECT_EQ(watch.guessing_since(), std::nullopt);
  watch.Note(kNone, 2.3, 0);
  EXPECT_EQ(watch.guessing_since(), std::nullopt);
  watch.Note(2.3, 2.3, 100);
  watch.Note(1e30, 2.3, 200);
  watch.Note(kNone, 2.3, 300);
  EXPECT_EQ(watch.guessing_since(), 100);
}

TEST(LossWatch, BeginsAnewOnceTheLossWasLow) {
  LossWatch watch;
  watch.Note(3, 2.3, 100);
  watch.Note(2.29, 2.3, 200);
  EXPECT_EQ(watch.guessing_since(), std::nullopt);
  watch.Note(3, 2.3, 300);
  EXPECT_EQ(watch.guessing_since(), 300);
}

TEST(LossWatch, FollowsAJobThatIsSetBack) {
  LossWatch watch;
  watch.Note(3, 2.3, 500);
  watch.Note(kNone, 2.3, 0);
  EXPECT_EQ(watch.guessing_since(), 0);
}

TEST(LossWatch, IsSilentWhereNobodyKnowsWhatGuessingCosts) {
  LossWatch watch;
  watch.Note(3, 0, 100);
  EXPECT_EQ(watch.guessing_since(), std::nullopt);
}

}  // namespace
}  // namespace grapevine::topology
