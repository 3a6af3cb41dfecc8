#include "worker/nn/loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace grapevine::nn {
namespace {

TEST(LossTest, EqualLogitsCostTheLogarithmOfTheClasses) {
  const std::vector<float> logits(8, 3.0f);
  const std::vector<int32_t> labels = {0, 3};
  const LossResult result = SoftmaxCrossEntropy(logits, 4, labels, {});
  EXPECT_NEAR(result.sum, 2 * std::log(4.0), 1e-12);
  EXPECT_EQ(result.correct, 1);  // the first of equals counts
}

TEST(LossTest, GradientIsSoftmaxMinusLabelOverTheBatch) {
  const std::vector<float> logits = {1, 2, 0.5, -1, 0, 3};
  const std::vector<int32_t> labels = {1, 0};
  std::vector<float> gradient(6);
  SoftmaxCrossEntropy(logits, 3, labels, gradient);
  constexpr float kStep = 1e-2f;
  for (size_t i = 0; i < logits.size(); ++i) {
    std::vector<float> above = logits, below = logits;
    above[i] += kStep;
    below[i] -= kStep;
    const double slope = (SoftmaxCrossEntropy(above, 3, labels, {}).sum -
                          SoftmaxCrossEntropy(below, 3, labels, {}).sum) /
                         2 / (2 * kStep);
    EXPECT_NEAR(gradient[i], slope, 1e-4);
  }
}

TEST(LossTest, HugeLogitsDoNotOverflow) {
  const std::vector<float> logits = {3e38f, -3e38f};
  const std::vector<int32_t> right = {0}, wrong = {1};
  EXPECT_EQ(SoftmaxCrossEntropy(logits, 2, right, {}).sum, 0);
  const LossResult result = SoftmaxCrossEntropy(logits, 2, wrong, {});
  EXPECT_TRUE(std::isfinite(result.sum));
  EXPECT_EQ(result.correct, 0);
}

TEST(LossTest, NotANumberStaysOne) {
  const std::vector<float> logits = {std::numeric_limits<float>::quiet_NaN(), 1};
  const std::vector<int32_t> labels = {1};
  std::vector<float> gradient(2);
  EXPECT_TRUE(std::isnan(SoftmaxCrossEntropy(logits, 2, labels, gradient).sum));
}

TEST(LossTest, RowsWithoutLabelDoNotCount) {
  const std::vector<float> logits = {0, 1, 50, -50};
  const std::vector<int32_t> labels = {1};
  EXPECT_EQ(SoftmaxCrossEntropy(logits, 2, labels, {}).correct, 1);
  EXPECT_NEAR(SoftmaxCrossEntropy(logits, 2, labels, {}).sum, std::log(1 + std::exp(-1.0)), 1e-7);
}

}  // namespace
}  // namespace grapevine::nn
