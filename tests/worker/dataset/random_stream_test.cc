#include "worker/dataset/random_stream.h"

#include <gtest/gtest.h>

#include <set>

namespace grapevine::dataset {
namespace {

// The values are the definition: a change of them changes every permutation of every job.
TEST(RandomStream, IsTheSameOnEveryMachine) {
  RandomStream random(1, 2, 3);
  EXPECT_EQ(random.Next(), 15925659190040627001u);
  EXPECT_EQ(random.Next(), 6588988029983277238u);
}

TEST(RandomStream, EveryKeyCounts) {
  std::set<uint64_t> first;
  for (uint64_t key = 0; key < 10; ++key) {
    first.insert(RandomStream(key, 100, 200).Next());
    first.insert(RandomStream(100, key, 200).Next());
    first.insert(RandomStream(100, 200, key).Next());
  }
  EXPECT_EQ(first.size(), 30u);
}

TEST(RandomStream, BelowCoversItsRangeEvenly) {
  RandomStream random(5);
  int counts[7] = {};
  for (int i = 0; i < 70'000; ++i) ++counts[random.Below(7)];
  for (int count : counts) EXPECT_NEAR(count, 10'000, 500);
}

TEST(RandomStream, SymmetricHasMeanZeroAndVarianceOneThird) {
  RandomStream random(5);
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < 100'000; ++i) {
    const float x = random.Symmetric();
    ASSERT_GE(x, -1);
    ASSERT_LT(x, 1);
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / 100'000, 0, 0.01);
  EXPECT_NEAR(squares / 100'000, 1 / 3.0, 0.01);
}

}  // namespace
}  // namespace grapevine::dataset
