#include "worker/algorithm/ad_psgd.h"

#include <gtest/gtest.h>

#include <vector>

namespace grapevine::algorithm {
namespace {

using store::ParameterKind;

// [0, 5) decayed, [5, 7) not, [7, 11) statistics: with chunks of 4 each boundary lies inside a
// chunk.
store::ParameterLayout Layout() {
  return store::MakeParameterLayout({{"w", {5}, ParameterKind::kWeight},
                                     {"b", {2}, ParameterKind::kUndecayed},
                                     {"s", {4}, ParameterKind::kStatistic}});
}

class AdPsgdTest : public testing::Test {
 protected:
  AdPsgdTest() : layout_(Layout()), store_(layout_.size, 4) {
    for (uint32_t chunk = 0; chunk < store_.chunks(); ++chunk) {
      store_.LoadWeights(chunk, std::vector<float>(store_.ChunkElements(chunk), 1.0f));
    }
  }

  std::vector<float> Weights() const {
    std::vector<float> weights(layout_.size);
    store_.Read(weights);
    return weights;
  }

  const store::ParameterLayout layout_;
  store::ParameterStore store_;
  int steps_ = 0;
};

TEST_F(AdPsgdTest, EachKindOfParameterGetsItsOwnRule) {
  AdPsgd algorithm(store_, layout_, {.momentum = 0.5f, .weight_decay = 0.5f, .nesterov = false},
                   [this] { ++steps_; });
  std::vector<float> read(layout_.size);
  algorithm.ReadWeights(read);
  EXPECT_EQ(algorithm.OnGradient(std::vector<float>(7, 2.0f), std::vector<float>(4, 11.0f), 0.1),
            0u);
  EXPECT_EQ(steps_, 1);
  const auto weights = Weights();
  for (int i = 0; i < 5; ++i) EXPECT_FLOAT_EQ(weights[i], 1 - 0.1f * 2.5f) << i;
  for (int i = 5; i < 7; ++i) EXPECT_FLOAT_EQ(weights[i], 1 - 0.1f * 2.0f) << i;
  for (int i = 7; i < 11; ++i) EXPECT_FLOAT_EQ(weights[i], 1 + 0.1f * 10.0f) << i;
}

TEST_F(AdPsgdTest, MomentumIsKeptInTheStoreForAJoinerToCopy) {
  AdPsgd algorithm(store_, layout_, {.momentum = 0.5f}, [] {});
  std::vector<float> read(layout_.size);
  algorithm.ReadWeights(read);
  algorithm.OnGradient(std::vector<float>(7, 2.0f), std::vector<float>(4), 0.1);
  std::vector<float> momentum(4);
  store_.SnapshotMomentum(0, momentum);
  EXPECT_EQ(momentum, std::vector<float>(4, 2.0f));
  store_.SnapshotMomentum(1, momentum);
  EXPECT_EQ(momentum, (std::vector<float>{2, 2, 2, 0}));  // none for statistics
}

// Algorithm 1, line 3: the gradient of the weights as read is applied to what they have become.
TEST_F(AdPsgdTest, AGradientIsAppliedToWhatTheWeightsHaveBecome) {
  AdPsgd algorithm(store_, layout_, {}, [] {});
  std::vector<float> read(layout_.size);
  algorithm.ReadWeights(read);
  for (int exchange = 0; exchange < 3; ++exchange) {
    for (uint32_t chunk = 0; chunk < store_.chunks(); ++chunk) {
      store_.Mix(chunk, [](std::span<float> weights) {
        for (float& w : weights) w += 10;
      });
    }
    store_.CountExchange();
  }
  EXPECT_EQ(algorithm.OnGradient(std::vector<float>(7, 1.0f), std::vector<float>(4, 31.0f), 1.0),
            3u);
  const auto weights = Weights();
  for (int i = 0; i < 7; ++i) EXPECT_FLOAT_EQ(weights[i], 30) << i;
  for (int i = 7; i < 11; ++i) EXPECT_FLOAT_EQ(weights[i], 31) << i;
}

}  // namespace
}  // namespace grapevine::algorithm
