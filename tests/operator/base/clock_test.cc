#include "operator/base/clock.h"

#include "gtest/gtest.h"

namespace grapevine {
namespace {

TEST(ClockTest, SecondsAndDurationsAreExactToTheNanosecond) {
  EXPECT_EQ(FromSeconds(1.5), 1500ms);
  EXPECT_EQ(FromSeconds(0), 0ns);
  EXPECT_EQ(FromSeconds(-0.25), -250ms);
  EXPECT_DOUBLE_EQ(ToSeconds(1500ms), 1.5);
  EXPECT_DOUBLE_EQ(ToSeconds(1ns), 1e-9);
}

TEST(ClockTest, TheRealClockNeverGoesBack) {
  const RealClock clock;
  Time last = clock.Now();
  for (int i = 0; i < 1000; ++i) {
    const Time now = clock.Now();
    EXPECT_GE(now, last);
    last = now;
  }
}

}  // namespace
}  // namespace grapevine
