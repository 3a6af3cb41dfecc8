#include "operator/base/backoff.h"

#include <algorithm>
#include <limits>
#include <random>

#include "gtest/gtest.h"

namespace grapevine {
namespace {

TEST(BackoffTest, DoublesUntilTheMaximumWithoutJitter) {
  const BackoffOptions options{.initial = 100ms, .factor = 2, .max = 1s, .jitter = 0};
  std::mt19937_64 rng(1);
  EXPECT_EQ(Backoff(options, 0, rng), 100ms);
  EXPECT_EQ(Backoff(options, 1, rng), 200ms);
  EXPECT_EQ(Backoff(options, 3, rng), 800ms);
  EXPECT_EQ(Backoff(options, 4, rng), 1s);
}

TEST(BackoffTest, StaysAtTheMaximumAfterAnyNumberOfAttempts) {
  const BackoffOptions options{.initial = 1ns, .factor = 10, .max = 10s, .jitter = 0};
  std::mt19937_64 rng(1);
  EXPECT_EQ(Backoff(options, 1'000'000, rng), 10s);
  EXPECT_EQ(Backoff(options, std::numeric_limits<int>::max(), rng), 10s);
}

TEST(BackoffTest, JitterOnlyShortensAndByNoMoreThanItsShare) {
  const BackoffOptions options{.initial = 1s, .factor = 1, .max = 1s, .jitter = 0.25};
  std::mt19937_64 rng(7);
  Duration least = 1s;
  Duration most = 0s;
  for (int i = 0; i < 1000; ++i) {
    const Duration delay = Backoff(options, i, rng);
    least = std::min(least, delay);
    most = std::max(most, delay);
  }
  EXPECT_GE(least, 750ms);
  EXPECT_LT(least, 760ms);
  EXPECT_LE(most, 1s);
  EXPECT_GT(most, 990ms);
}

TEST(BackoffTest, TheSameSeedGivesTheSameDelays) {
  std::mt19937_64 one(3);
  std::mt19937_64 other(3);
  for (int attempt = 0; attempt < 10; ++attempt) {
    EXPECT_EQ(Backoff({}, attempt, one), Backoff({}, attempt, other));
  }
}

TEST(BackoffDeathTest, ANegativeAttemptIsABug) {
  std::mt19937_64 rng(1);
  EXPECT_DEATH(Backoff({}, -1, rng), "attempt >= 0");
}

}  // namespace
}  // namespace grapevine
