#include "operator/topology/rate_window.h"

#include "gtest/gtest.h"

namespace grapevine::topology {
namespace {

constexpr Time kNow{1000s};

TEST(RateWindow, IsUnknownUntilTwoMomentsAreKnown) {
  RateWindow rate;
  EXPECT_EQ(rate.PerSecond(), std::nullopt);
  rate.Note(kNow, 5);
  EXPECT_EQ(rate.PerSecond(), std::nullopt);
  rate.Note(kNow, 9);
  EXPECT_EQ(rate.PerSecond(), std::nullopt);
  rate.Note(kNow + 2s, 15);
  EXPECT_EQ(rate.PerSecond(), 5);
}

TEST(RateWindow, ForgetsWhatIsOlderThanItsLength) {
  RateWindow rate;
  for (int second = 0; second <= 20; ++second) rate.Note(kNow + second * 1s, 100 * second);
  EXPECT_EQ(rate.PerSecond(), 100);
  for (int second = 21; second <= 31; ++second) rate.Note(kNow + second * 1s, 2000);
  EXPECT_EQ(rate.PerSecond(), 0);
}

TEST(RateWindow, BeginsAgainAfterClear) {
  RateWindow rate;
  rate.Note(kNow, 1000);
  rate.Clear();
  rate.Note(kNow + 1s, 0);
  rate.Note(kNow + 2s, 7);
  EXPECT_EQ(rate.PerSecond(), 7);
}

}  // namespace
}  // namespace grapevine::topology
