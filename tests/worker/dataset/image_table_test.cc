#include "worker/dataset/image_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

namespace grapevine::dataset {
namespace {

// One image of 2 channels, 3 x 3, whose pixels are all different and not zero after normalisation.
ImageTable OneImage(int32_t max_shift) {
  ByteImages images;
  for (int i = 1; i <= 18; ++i) images.pixels.push_back(static_cast<uint8_t>(10 * i));
  images.labels = {1};
  return ImageTable({.shape = {2, 3, 3},
                     .classes = 2,
                     .scale = 10,
                     .mean = {0, 100},
                     .deviation = {1, 2},
                     .max_shift = max_shift},
                    images, {});
}

TEST(ImageTable, NormalisesByChannel) {
  std::vector<float> image(18);
  EXPECT_EQ(OneImage(0).Get(Split::kTrain, 0, image), 1);
  for (int i = 0; i < 9; ++i) EXPECT_FLOAT_EQ(image[i], static_cast<float>(i + 1));
  for (int i = 9; i < 18; ++i) EXPECT_FLOAT_EQ(image[i], static_cast<float>(i + 1 - 100) / 2);
}

TEST(ImageTable, WithoutAugmentationTrainingSeesTheImage) {
  std::vector<float> plain(18);
  std::vector<float> seen(18);
  const ImageTable table = OneImage(0);
  table.Get(Split::kTrain, 0, plain);
  EXPECT_EQ(table.GetAugmented(1, 2, 0, seen), 1);
  EXPECT_EQ(seen, plain);
}

// Against a twin that pads, crops and mirrors in the plainest way: each view is one of the 9 x 2
// possible ones, and all of them come.
TEST(ImageTable, AugmentationIsPadCropMirror) {
  const ImageTable table = OneImage(1);
  std::vector<float> plain(18);
  table.Get(Split::kTrain, 0, plain);
  std::map<std::vector<float>, int> views;
  for (int down = -1; down <= 1; ++down) {
    for (int right = -1; right <= 1; ++right) {
      for (bool mirror : {false, true}) {
        std::vector<float> view(18, 0.0f);
        for (int c = 0; c < 2; ++c) {
          for (int y = 0; y < 3; ++y) {
            for (int x = 0; x < 3; ++x) {
              const int from_y = y + down;
              const int from_x = (mirror ? 2 - x : x) + right;
              if (from_y < 0 || from_y > 2 || from_x < 0 || from_x > 2) continue;
              view[9 * c + 3 * y + x] = plain[9 * c + 3 * from_y + from_x];
            }
          }
        }
        views[view] = 0;
      }
    }
  }
  ASSERT_EQ(views.size(), 18u);
  for (int64_t e = 0; e < 1800; ++e) {
    std::vector<float> seen(18);
    EXPECT_EQ(table.GetAugmented(7, e, 0, seen), 1);
    ASSERT_TRUE(views.contains(seen)) << e;
    ++views[seen];
  }
  for (const auto& [view, count] : views) EXPECT_NEAR(count, 100, 50);
}

TEST(ImageTable, AugmentationDependsOnItsArgumentsAlone) {
  const ImageTable table = OneImage(1);
  std::vector<float> first(18);
  std::vector<float> second(18, 99.0f);
  table.GetAugmented(1, 5, 0, first);
  table.GetAugmented(1, 6, 0, second);
  table.GetAugmented(1, 5, 0, second);
  EXPECT_EQ(first, second);
}

}  // namespace
}  // namespace grapevine::dataset
