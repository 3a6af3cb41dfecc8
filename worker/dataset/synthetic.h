#pragma once

#include <cstdint>
#include <vector>

#include "worker/dataset/dataset.h"

namespace grapevine::dataset {

struct SyntheticOptions {
  Shape shape = {1, 8, 8};
  int32_t classes = 10;
  int64_t train_samples = 10'000;
  int64_t test_samples = 1'000;
};

// Images of any shape in any number, made when asked for: the prototype of a class plus noise twice
// as strong that belongs to the sample. A linear classifier can learn it; what it is for is
// measuring and trying out without any file. Both splits use the same prototypes and different
// noise.
//
// Immutable. Memory: the prototypes.
class SyntheticDataset final : public Dataset {
 public:
  explicit SyntheticDataset(const SyntheticOptions& options);

  const Shape& shape() const override { return options_.shape; }
  int32_t classes() const override { return options_.classes; }
  int64_t size(Split split) const override {
    return split == Split::kTrain ? options_.train_samples : options_.test_samples;
  }
  int32_t Get(Split split, int64_t index, std::span<float> image) const override;

 private:
  const SyntheticOptions options_;
  std::vector<float> prototypes_;  // one image a class
};

}  // namespace grapevine::dataset
