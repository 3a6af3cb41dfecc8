#include "worker/dataset/permutation.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace grapevine::dataset {
namespace {

TEST(Permutation, HoldsEverySampleOnce) {
  for (int64_t samples : {0, 1, 2, 3, 1797, 60'000}) {
    auto order = Permutation(3, 4, samples);
    std::sort(order.begin(), order.end());
    ASSERT_EQ(order.size(), static_cast<size_t>(samples));
    for (int32_t i = 0; i < samples; ++i) ASSERT_EQ(order[i], i);
  }
}

TEST(Permutation, IsAFunctionOfSeedAndDataEpoch) {
  EXPECT_EQ(Permutation(1, 2, 100), Permutation(1, 2, 100));
  EXPECT_NE(Permutation(1, 2, 100), Permutation(1, 3, 100));
  EXPECT_NE(Permutation(1, 2, 100), Permutation(2, 2, 100));
  EXPECT_NE(Permutation(1, 2, 100), Permutation(2, 1, 100));
}

// The values are the definition: members of one job may run on different machines.
TEST(Permutation, IsTheSameOnEveryMachine) {
  EXPECT_EQ(Permutation(1, 0, 10), (std::vector<int32_t>{0, 3, 2, 6, 1, 5, 8, 9, 7, 4}));
}

TEST(Permutation, PutsEverySampleEverywhere) {
  int counts[4][4] = {};
  for (int64_t e = 0; e < 4000; ++e) {
    const auto order = Permutation(9, e, 4);
    for (int i = 0; i < 4; ++i) ++counts[i][order[i]];
  }
  for (const auto& row : counts) {
    for (int count : row) EXPECT_NEAR(count, 1000, 150);
  }
}

TEST(Batches, OnlyTheLastIsShortAndASingleSampleIsDropped) {
  EXPECT_EQ(BatchesPerDataEpoch(64, 32), 2);
  EXPECT_EQ(BatchesPerDataEpoch(65, 32), 2);
  EXPECT_EQ(BatchesPerDataEpoch(66, 32), 3);
  EXPECT_EQ(BatchesPerDataEpoch(31, 32), 1);
  EXPECT_EQ(BatchesPerDataEpoch(1, 32), 0);
  EXPECT_EQ(BatchSamples(0, 66, 32), 32);
  EXPECT_EQ(BatchSamples(1, 66, 32), 32);
  EXPECT_EQ(BatchSamples(2, 66, 32), 2);
  EXPECT_EQ(BatchSamples(0, 31, 32), 31);
}

}  // namespace
}  // namespace grapevine::dataset
