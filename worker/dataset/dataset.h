#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/statusor.h"

namespace grapevine::dataset {

// Of one sample: a dense image, channel by channel, row by row.
struct Shape {
  int32_t channels = 0;
  int32_t height = 0;
  int32_t width = 0;

  size_t elements() const { return static_cast<size_t>(channels) * height * width; }
  bool operator==(const Shape&) const = default;
};

enum class Split { kTrain, kTest };

// Labelled images for classification, all in memory or made on demand. The same on every machine: a
// sample is named by its index alone, and which index comes when is decided by permutation.h.
//
// Immutable.
class Dataset {
 public:
  virtual ~Dataset() = default;

  virtual const Shape& shape() const = 0;
  virtual int32_t classes() const = 0;
  virtual int64_t size(Split split) const = 0;

  // Writes sample `index` of the split, normalised (about zero mean and unit variance over the
  // training set), to `image` of shape().elements() floats and returns its label in [0, classes()).
  virtual int32_t Get(Split split, int64_t index, std::span<float> image) const = 0;

  // What training sees of a training sample in one data epoch: Get(kTrain, ...) under the usual
  // random augmentation of the dataset, if it has one, which depends on nothing but the arguments.
  virtual int32_t GetAugmented(uint64_t seed, int64_t data_epoch, int64_t index,
                               std::span<float> image) const;
};

// What to open. The last three are of `synthetic` alone.
struct Source {
  std::string name;  // digits | mnist | cifar10 | synthetic
  std::string path;  // folder with the files of mnist or cifar10
  Shape shape = {1, 8, 8};
  int32_t classes = 10;
  int64_t samples = 10'000;  // in the training set
};

// NotFound for a file that is not there, InvalidArgument for one that is not what it should be (the
// message names it, what was found and what is allowed) and for an unknown name.
absl::StatusOr<std::unique_ptr<const Dataset>> Open(const Source& source);

}  // namespace grapevine::dataset
