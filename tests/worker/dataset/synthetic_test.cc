#include "worker/dataset/synthetic.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace grapevine::dataset {
namespace {

TEST(Synthetic, HasTheShapeAskedFor) {
  const SyntheticDataset dataset(
      {.shape = {3, 5, 7}, .classes = 4, .train_samples = 9, .test_samples = 6});
  EXPECT_EQ(dataset.shape(), (Shape{3, 5, 7}));
  EXPECT_EQ(dataset.classes(), 4);
  EXPECT_EQ(dataset.size(Split::kTrain), 9);
  EXPECT_EQ(dataset.size(Split::kTest), 6);
}

TEST(Synthetic, ASampleIsTheSameEachTimeAndEachIsDifferent) {
  const SyntheticDataset one({});
  const SyntheticDataset other({});
  std::vector<float> a(64);
  std::vector<float> b(64);
  EXPECT_EQ(one.Get(Split::kTrain, 17, a), other.Get(Split::kTrain, 17, b));
  EXPECT_EQ(a, b);
  one.Get(Split::kTest, 17, b);
  EXPECT_NE(a, b);
  one.Get(Split::kTrain, 27, b);  // of the same class
  EXPECT_NE(a, b);
}

// The nearest mean of the training samples of a class tells a test sample's.
TEST(Synthetic, CanBeLearned) {
  const SyntheticDataset dataset({.shape = {1, 8, 8}, .classes = 5});
  std::vector<std::vector<float>> means(5, std::vector<float>(64));
  std::vector<float> image(64);
  for (int64_t i = 0; i < 1000; ++i) {
    auto& mean = means[dataset.Get(Split::kTrain, i, image)];
    for (size_t k = 0; k < 64; ++k) mean[k] += image[k] / 200;
  }
  int correct = 0;
  for (int64_t i = 0; i < 1000; ++i) {
    const int label = dataset.Get(Split::kTest, i, image);
    int nearest = -1;
    float best = std::numeric_limits<float>::max();
    for (int c = 0; c < 5; ++c) {
      float distance = 0;
      for (size_t k = 0; k < 64; ++k)
        distance += (image[k] - means[c][k]) * (image[k] - means[c][k]);
      if (distance < best) {
        best = distance;
        nearest = c;
      }
    }
    correct += nearest == label ? 1 : 0;
  }
  EXPECT_GT(correct, 900);
}

TEST(Synthetic, IsNormalised) {
  const SyntheticDataset dataset({.shape = {1, 8, 8}, .classes = 50});
  double sum = 0;
  double squares = 0;
  std::vector<float> image(64);
  for (int64_t i = 0; i < 1000; ++i) {
    dataset.Get(Split::kTrain, i, image);
    for (float value : image) {
      sum += value;
      squares += value * value;
    }
  }
  EXPECT_NEAR(sum / 64'000, 0, 0.05);
  EXPECT_NEAR(squares / 64'000, 1, 0.05);
}

}  // namespace
}  // namespace grapevine::dataset
