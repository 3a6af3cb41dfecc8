#include "operator/controller/rate_limiter.h"

#include "gtest/gtest.h"

namespace grapevine::controller {
namespace {

const Request kA{"default", "a"};
const Request kB{"default", "b"};

TEST(RateLimiterTest, DoublesTheDelayOfEachNameUpToTheLast) {
  RateLimiter limiter({.burst = 1'000'000});
  const Time now{};
  Duration expected = 5ms;
  for (int i = 0; i < 17; ++i, expected *= 2) EXPECT_EQ(limiter.Delay(kA, now), expected);
  EXPECT_EQ(limiter.Delay(kA, now), 5ms * (1 << 17));
  EXPECT_EQ(limiter.Delay(kA, now), 1000s);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(limiter.Delay(kA, now), 1000s);
  EXPECT_EQ(limiter.Delay(kB, now), 5ms);
}

TEST(RateLimiterTest, ForgetsWithSuccess) {
  RateLimiter limiter({});
  limiter.Delay(kA, Time{});
  limiter.Delay(kA, Time{});
  EXPECT_EQ(limiter.failures(kA), 2);
  limiter.Forget(kA);
  EXPECT_EQ(limiter.failures(kA), 0);
  EXPECT_EQ(limiter.Delay(kA, Time{}), 5ms);
}

TEST(RateLimiterTest, BoundsTheRateOfAllNamesOnceTheBurstIsUsedUp) {
  RateLimiter limiter({.retries_per_second = 10, .burst = 100});
  const Time now = Time{} + 7s;
  auto fresh = [&, i = 0]() mutable { return Request{"default", std::to_string(i++)}; };
  for (int i = 0; i < 100; ++i) EXPECT_EQ(limiter.Delay(fresh(), now), 5ms);
  EXPECT_EQ(limiter.Delay(fresh(), now), 100ms);
  EXPECT_EQ(limiter.Delay(fresh(), now), 200ms);
  // A second later ten places are free again, two of which are promised.
  EXPECT_EQ(limiter.Delay(fresh(), now + 1s), 5ms);
}

TEST(RateLimiterTest, SavesUpNoMoreThanTheBurst) {
  RateLimiter limiter({.retries_per_second = 10, .burst = 3});
  limiter.Delay(kA, Time{});
  const Time later = Time{} + 3600s;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(limiter.Delay({"default", std::to_string(i)}, later), 5ms);
  }
  EXPECT_EQ(limiter.Delay(kB, later), 100ms);
}

}  // namespace
}  // namespace grapevine::controller
