#pragma once

#include <cstdint>
#include <vector>

#include "worker/dataset/dataset.h"

namespace grapevine::dataset {

// One split as it comes from a file: bytes, image after image.
struct ByteImages {
  std::vector<uint8_t> pixels;
  std::vector<uint8_t> labels;
};

struct TableOptions {
  Shape shape;
  int32_t classes = 10;
  // Per channel, of pixels / scale: what the usual recipes use.
  double scale = 255;
  std::vector<double> mean;
  std::vector<double> deviation;
  // Augmentation: shifts by up to this many pixels in each direction (filled with the mean), and
  // mirrors one image in two. 0: none of both.
  int32_t max_shift = 0;
};

// A data set that is held as bytes and made floats on the way out. Memory: one byte a value.
//
// Immutable.
class ImageTable final : public Dataset {
 public:
  // REQUIRES: pixels of each split are labels x shape; labels below classes; one mean and deviation
  // a channel.
  ImageTable(TableOptions options, ByteImages train, ByteImages test);

  const Shape& shape() const override { return options_.shape; }
  int32_t classes() const override { return options_.classes; }
  int64_t size(Split split) const override {
    return static_cast<int64_t>(Images(split).labels.size());
  }
  int32_t Get(Split split, int64_t index, std::span<float> image) const override;
  int32_t GetAugmented(uint64_t seed, int64_t data_epoch, int64_t index,
                       std::span<float> image) const override;

 private:
  const ByteImages& Images(Split split) const { return split == Split::kTrain ? train_ : test_; }

  const TableOptions options_;
  const ByteImages train_;
  const ByteImages test_;
  std::vector<float> factor_;  // per channel: value = pixel * factor + offset
  std::vector<float> offset_;
};

}  // namespace grapevine::dataset
