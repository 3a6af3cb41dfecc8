#include <gtest/gtest.h>

#include "worker/backend/reference/reference_backend.h"
#include "worker/nn/models.h"

namespace grapevine::nn {
namespace {

TEST(Lenet5Test, HasThePublishedLinearLayers) {
  const auto backend = backend::reference::MakeBackend();
  const auto network = MakeLenet5({2, 1, 28, 28}, 10, *backend);
  ASSERT_TRUE(network.ok()) << network.status();
  // 5 · 5 · 6 + 5 · 5 · 6 · 16 + 400 · 120 + 120 · 84 + 84 · 10 weights, and a bias for each
  // output.
  const store::ParameterLayout& layout = (*network)->layout();
  EXPECT_EQ(layout.decayed_size, 150u + 2400 + 48000 + 10080 + 840);
  EXPECT_EQ(layout.trained_size, layout.decayed_size + 6 + 16 + 120 + 84 + 10);
  EXPECT_EQ(layout.size, layout.trained_size);
}

TEST(Lenet5Test, NeedsTwelvePixels) {
  const auto backend = backend::reference::MakeBackend();
  EXPECT_TRUE(MakeLenet5({1, 1, 12, 12}, 10, *backend).ok());
  EXPECT_FALSE(MakeLenet5({1, 1, 11, 12}, 10, *backend).ok());
}

}  // namespace
}  // namespace grapevine::nn
