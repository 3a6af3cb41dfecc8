#include "worker/dataset/image_table.h"

#include <algorithm>
#include <utility>

#include "operator/base/check.h"
#include "worker/dataset/random_stream.h"

namespace grapevine::dataset {

ImageTable::ImageTable(TableOptions options, ByteImages train, ByteImages test)
    : options_(std::move(options)), train_(std::move(train)), test_(std::move(test)) {
  for (const ByteImages* images : {&train_, &test_}) {
    GRAPEVINE_CHECK(images->pixels.size() == images->labels.size() * options_.shape.elements());
  }
  const auto channels = static_cast<size_t>(options_.shape.channels);
  GRAPEVINE_CHECK(options_.mean.size() == channels && options_.deviation.size() == channels);
  for (size_t c = 0; c < channels; ++c) {
    factor_.push_back(static_cast<float>(1 / (options_.scale * options_.deviation[c])));
    offset_.push_back(static_cast<float>(-options_.mean[c] / options_.deviation[c]));
  }
}

int32_t ImageTable::Get(Split split, int64_t index, std::span<float> image) const {
  const ByteImages& images = Images(split);
  const size_t elements = options_.shape.elements();
  GRAPEVINE_CHECK(image.size() == elements && index >= 0 && index < size(split));
  const uint8_t* pixel = images.pixels.data() + index * elements;
  float* out = image.data();
  const size_t plane = elements / options_.shape.channels;
  for (int32_t c = 0; c < options_.shape.channels; ++c) {
    for (size_t i = 0; i < plane; ++i) *out++ = *pixel++ * factor_[c] + offset_[c];
  }
  return images.labels[index];
}

int32_t ImageTable::GetAugmented(uint64_t seed, int64_t data_epoch, int64_t index,
                                 std::span<float> image) const {
  if (options_.max_shift == 0) return Get(Split::kTrain, index, image);
  const Shape& shape = options_.shape;
  GRAPEVINE_CHECK(image.size() == shape.elements() && index >= 0 && index < size(Split::kTrain));
  RandomStream random(seed, static_cast<uint64_t>(data_epoch), static_cast<uint64_t>(index));
  const auto down =
      static_cast<int32_t>(random.Below(2 * options_.max_shift + 1)) - options_.max_shift;
  const auto right =
      static_cast<int32_t>(random.Below(2 * options_.max_shift + 1)) - options_.max_shift;
  const bool mirror = random.Below(2) == 1;

  const uint8_t* pixels = train_.pixels.data() + index * shape.elements();
  float* out = image.data();
  for (int32_t c = 0; c < shape.channels; ++c) {
    for (int32_t y = 0; y < shape.height; ++y, out += shape.width) {
      const int32_t from_y = y + down;
      std::fill(out, out + shape.width, 0.0f);
      if (from_y < 0 || from_y >= shape.height) continue;
      const uint8_t* row = pixels + (c * shape.height + from_y) * shape.width;
      const int32_t first = std::max(0, -right);
      const int32_t end = std::min(shape.width, shape.width - right);
      for (int32_t x = first; x < end; ++x) {
        out[mirror ? shape.width - 1 - x : x] = row[x + right] * factor_[c] + offset_[c];
      }
    }
  }
  return train_.labels[index];
}

}  // namespace grapevine::dataset
