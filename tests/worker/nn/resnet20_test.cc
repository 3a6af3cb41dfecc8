#include <gtest/gtest.h>

#include "worker/backend/reference/reference_backend.h"
#include "worker/nn/models.h"

namespace grapevine::nn {
namespace {

TEST(Resnet20Test, HasThePublishedSize) {
  const auto backend = backend::reference::MakeBackend();
  const auto network = MakeResnet20({1, 3, 32, 32}, 10, *backend);
  ASSERT_TRUE(network.ok()) << network.status();
  const store::ParameterLayout& layout = (*network)->layout();
  EXPECT_EQ(layout.trained_size, 269'722u);  // 0.27 M in the paper's table 6
  EXPECT_EQ(layout.decayed_size, 269'722u - 2 * 688 - 10);
  EXPECT_EQ(layout.size, 269'722u + 2 * 688);
}

TEST(Resnet20Test, TakesAnyImageSize) {
  const auto backend = backend::reference::MakeBackend();
  for (const auto& [height, width] : {std::pair(1, 1), std::pair(5, 7), std::pair(64, 3)}) {
    const auto network = MakeResnet20({1, 1, height, width}, 4, *backend);
    ASSERT_TRUE(network.ok()) << network.status();
    EXPECT_EQ((*network)->logits_shape(), (backend::Shape{1, 4, 1, 1}));
  }
}

}  // namespace
}  // namespace grapevine::nn
