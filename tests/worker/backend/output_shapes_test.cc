#include "worker/backend/output_shapes.h"

#include <gtest/gtest.h>

namespace grapevine::backend {
namespace {

constexpr Shape kImages{2, 3, 9, 8};

TEST(OutputShapesTest, ConvolutionsCountTheWindowsThatFit) {
  EXPECT_EQ(*OutputShape(kImages, ConvolutionOptions{.output_channels = 4}), (Shape{2, 4, 9, 8}));
  EXPECT_EQ(*OutputShape(kImages, ConvolutionOptions{.output_channels = 4, .stride = 2}),
            (Shape{2, 4, 5, 4}));
  EXPECT_EQ(
      *OutputShape(kImages, ConvolutionOptions{.output_channels = 4, .kernel = 8, .padding = 0}),
      (Shape{2, 4, 2, 1}));
  EXPECT_FALSE(
      OutputShape(kImages, ConvolutionOptions{.output_channels = 4, .kernel = 9, .padding = 0})
          .ok());
}

TEST(OutputShapesTest, LinearLayersFlattenTheImage) {
  EXPECT_EQ(*OutputShape(kImages, LinearOptions{.outputs = 7}), (Shape{2, 7, 1, 1}));
}

TEST(OutputShapesTest, PoolingLeavesOutWhatDoesNotFit) {
  EXPECT_EQ(*OutputShape(kImages, PoolOptions{}), (Shape{2, 3, 4, 4}));
  EXPECT_EQ(*OutputShape(kImages, PoolOptions{.kernel = 3, .stride = 3}), (Shape{2, 3, 3, 2}));
  EXPECT_EQ(*OutputShape(kImages, PoolOptions{.kernel = 0}), (Shape{2, 3, 1, 1}));
}

TEST(OutputShapesTest, ShortcutsMatchAConvolutionOfTheSameStride) {
  for (int extent = 1; extent < 9; ++extent) {
    const Shape x{1, 2, extent, extent};
    EXPECT_EQ(*OutputShape(x, ShortcutOptions{.output_channels = 4, .stride = 2}),
              *OutputShape(x, ConvolutionOptions{.output_channels = 4, .stride = 2}));
  }
}

TEST(OutputShapesTest, AnEmptyImageIsInvalid) {
  for (const Shape& x :
       {Shape{0, 1, 1, 1}, Shape{1, 0, 1, 1}, Shape{1, 1, 0, 1}, Shape{1, 1, 1, -1}}) {
    EXPECT_FALSE(OutputShape(x, ConvolutionOptions{.output_channels = 1}).ok());
    EXPECT_FALSE(OutputShape(x, LinearOptions{.outputs = 1}).ok());
    EXPECT_FALSE(OutputShape(x, PoolOptions{}).ok());
    EXPECT_FALSE(OutputShape(x, ShortcutOptions{.output_channels = 2}).ok());
    EXPECT_FALSE(CheckResidual(x, nullptr).ok());
  }
}

}  // namespace
}  // namespace grapevine::backend
