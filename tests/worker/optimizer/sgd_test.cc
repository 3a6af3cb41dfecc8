#include "worker/optimizer/sgd.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace grapevine::optimizer {
namespace {

std::vector<float> RandomValues(size_t size, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(size);
  for (float& value : values) value = normal(random);
  return values;
}

// The update as the header writes it, in double.
void ExpectUpdates(const SgdOptions& options, size_t size, size_t decayed) {
  const std::vector<float> w0 = RandomValues(size, 1);
  const std::vector<float> v0 = RandomValues(size, 2);
  const std::vector<float> gradient = RandomValues(size, 3);
  std::vector<float> w = w0, v = v0;
  SgdUpdate(w, v, gradient, options, decayed);
  for (size_t i = 0; i < size; ++i) {
    const double g =
        gradient[i] + (i < decayed ? static_cast<double>(options.weight_decay) * w0[i] : 0);
    const double next = static_cast<double>(options.momentum) * v0[i] + g;
    const double step = options.nesterov ? g + options.momentum * next : next;
    EXPECT_NEAR(w[i], w0[i] - options.learning_rate * step, 1e-5) << i;
    EXPECT_NEAR(v[i], options.momentum == 0 ? v0[i] : next, 1e-5) << i;
  }
}

TEST(SgdTest, UpdatesAsWritten) {
  for (size_t size : {0u, 1u, 7u, 64u, 1001u}) {
    for (size_t decayed : {size_t{0}, size / 3, size}) {
      for (bool nesterov : {false, true}) {
        ExpectUpdates(
            {.learning_rate = 0.1f, .momentum = 0.9f, .weight_decay = 0.01f, .nesterov = nesterov},
            size, decayed);
      }
    }
  }
}

TEST(SgdTest, WithoutMomentumTheVectorIsLeftAlone) {
  ExpectUpdates({.learning_rate = 0.1f, .momentum = 0, .weight_decay = 0.5f, .nesterov = false},
                100, 60);
}

// The store hands out chunks whose borders have nothing to do with those of the layout.
TEST(SgdTest, ChunksGiveWhatTheWholeGives) {
  const size_t size = 1000, decayed_size = 430;
  const SgdOptions options{.learning_rate = 0.1f, .momentum = 0.9f, .weight_decay = 0.1f};
  std::vector<float> whole = RandomValues(size, 1), v_whole = RandomValues(size, 2);
  std::vector<float> pieces = whole, v_pieces = v_whole;
  const std::vector<float> gradient = RandomValues(size, 3);
  SgdUpdate(whole, v_whole, gradient, options, decayed_size);
  for (size_t offset = 0; offset < size; offset += 96) {
    const size_t count = std::min<size_t>(96, size - offset);
    SgdUpdate(std::span(pieces).subspan(offset, count), std::span(v_pieces).subspan(offset, count),
              std::span(gradient).subspan(offset, count), options,
              DecayedInChunk(offset, count, decayed_size));
  }
  for (size_t i = 0; i < size; ++i) {
    EXPECT_FLOAT_EQ(pieces[i], whole[i]);
    EXPECT_FLOAT_EQ(v_pieces[i], v_whole[i]);
  }
}

TEST(SgdTest, DecayedInChunkCutsAtTheBorder) {
  EXPECT_EQ(DecayedInChunk(0, 10, 4), 4u);
  EXPECT_EQ(DecayedInChunk(0, 10, 10), 10u);
  EXPECT_EQ(DecayedInChunk(0, 10, 25), 10u);
  EXPECT_EQ(DecayedInChunk(4, 10, 4), 0u);
  EXPECT_EQ(DecayedInChunk(20, 10, 25), 5u);
  EXPECT_EQ(DecayedInChunk(30, 10, 25), 0u);
}

}  // namespace
}  // namespace grapevine::optimizer
