#include "worker/dataset/digits.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

namespace grapevine::dataset {
namespace {

// Sums over the published file, which the compiled-in values must not stray from.
TEST(Digits, HoldsThePublishedSamples) {
  const auto digits = OpenDigits();
  EXPECT_EQ(digits->size(Split::kTrain), 1437);
  EXPECT_EQ(digits->size(Split::kTest), 360);
  EXPECT_EQ(digits->shape(), (Shape{1, 8, 8}));
  std::vector<int> per_class(10);
  std::set<std::vector<float>> distinct;
  double pixels = 0;
  std::vector<float> image(64);
  for (Split split : {Split::kTrain, Split::kTest}) {
    for (int64_t i = 0; i < digits->size(split); ++i) {
      ++per_class.at(digits->Get(split, i, image));
      for (float value : image) {
        const double pixel = (value * 0.3761 + 0.3053) * 16;
        EXPECT_NEAR(pixel, std::round(pixel), 1e-4);
        EXPECT_GE(std::round(pixel), 0);
        EXPECT_LE(std::round(pixel), 16);
        pixels += std::round(pixel);
      }
      distinct.insert(image);
    }
  }
  EXPECT_EQ(per_class, (std::vector<int>{178, 182, 177, 183, 181, 182, 181, 179, 174, 180}));
  EXPECT_EQ(pixels, 561'718);
  EXPECT_EQ(distinct.size(), 1797u);
}

TEST(Digits, EveryClassIsHeldOutInItsShare) {
  const auto digits = OpenDigits();
  std::vector<int> per_class(10);
  std::vector<float> image(64);
  for (int64_t i = 0; i < 360; ++i) ++per_class[digits->Get(Split::kTest, i, image)];
  for (int count : per_class) EXPECT_NEAR(count, 36, 16);
}

TEST(Digits, IsNormalised) {
  const auto digits = OpenDigits();
  double sum = 0;
  double squares = 0;
  std::vector<float> image(64);
  for (int64_t i = 0; i < 1437; ++i) {
    digits->Get(Split::kTrain, i, image);
    for (float value : image) {
      sum += value;
      squares += value * value;
    }
  }
  EXPECT_NEAR(sum / (1437 * 64), 0, 0.02);
  EXPECT_NEAR(squares / (1437 * 64), 1, 0.02);
}

}  // namespace
}  // namespace grapevine::dataset
