#include "worker/optimizer/clip.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace grapevine::optimizer {
namespace {

TEST(ClipTest, ShortensWhatIsTooLongAndKeepsItsDirection) {
  std::vector<float> gradient = {3, -4, 0};
  EXPECT_DOUBLE_EQ(ClipToNorm(gradient, 1), 5);
  EXPECT_FLOAT_EQ(gradient[0], 0.6f);
  EXPECT_FLOAT_EQ(gradient[1], -0.8f);
  EXPECT_EQ(gradient[2], 0);
}

TEST(ClipTest, LeavesAloneWhatIsShortEnough) {
  for (const double max_norm : {5.0, 5.5, 1e6}) {
    std::vector<float> gradient = {3, -4};
    EXPECT_DOUBLE_EQ(ClipToNorm(gradient, max_norm), 5);
    EXPECT_EQ(gradient, (std::vector<float>{3, -4}));
  }
}

TEST(ClipTest, HasNothingToShortenInZerosOrNothing) {
  std::vector<float> zeros(9);
  EXPECT_EQ(ClipToNorm(zeros, 1e-6), 0);
  EXPECT_EQ(zeros, std::vector<float>(9));
  EXPECT_EQ(ClipToNorm({}, 1), 0);
}

TEST(ClipTest, TakesWhateverAFloatCanHold) {
  std::vector<float> huge(3, 3e38f);
  EXPECT_NEAR(ClipToNorm(huge, 1), std::sqrt(3) * 3e38, 1e33);
  for (const float value : huge) EXPECT_NEAR(value, 1 / std::sqrt(3), 1e-6);
  std::vector<float> tiny(3, 1e-38f);
  EXPECT_NEAR(ClipToNorm(tiny, 1e-6), std::sqrt(3) * 1e-38, 1e-43);
  EXPECT_EQ(tiny[0], 1e-38f);
}

// Of every length around the width of the loop, against the plain sum.
TEST(ClipTest, CountsEveryElementOnce) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (size_t size = 1; size < 40; ++size) {
    std::vector<float> gradient(size);
    double squares = 0;
    for (float& value : gradient) {
      value = normal(random);
      squares += double{value} * double{value};
    }
    EXPECT_NEAR(ClipToNorm(gradient, 0.5), std::sqrt(squares), 1e-12) << size;
    EXPECT_LE(ClipToNorm(gradient, 1e6), 0.5 * (1 + 1e-6)) << size;
  }
}

}  // namespace
}  // namespace grapevine::optimizer
