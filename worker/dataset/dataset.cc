#include "worker/dataset/dataset.h"

#include <fmt/format.h>

#include <algorithm>

#include "absl/status/status.h"
#include "worker/dataset/cifar10.h"
#include "worker/dataset/digits.h"
#include "worker/dataset/mnist.h"
#include "worker/dataset/synthetic.h"

namespace grapevine::dataset {
namespace {

// What a synthetic set may take of memory: enough for ImageNet's 1000 classes of 3 x 224 x 224.
constexpr double kMostSyntheticBytes = 1 << 30;

absl::StatusOr<std::unique_ptr<const Dataset>> OpenSynthetic(const Source& source) {
  const Shape& shape = source.shape;
  const std::string asked =
      fmt::format("synthetic: shape {} x {} x {}, {} classes, {} samples", shape.channels,
                  shape.height, shape.width, source.classes, source.samples);
  if (shape.channels < 1 || shape.height < 1 || shape.width < 1 || source.classes < 2 ||
      source.samples < 2) {
    return absl::InvalidArgumentError(
        asked + "; extents must be at least 1, classes and samples at least 2");
  }
  // In floating point, where no product overflows.
  const double bytes =
      1.0 * sizeof(float) * source.classes * shape.channels * shape.height * shape.width;
  if (bytes > kMostSyntheticBytes) {
    return absl::InvalidArgumentError(
        fmt::format("{}; an image of 4-byte floats for each class takes {:.0f} bytes, at most "
                    "{:.0f} are allowed",
                    asked, bytes, kMostSyntheticBytes));
  }
  return std::make_unique<SyntheticDataset>(
      SyntheticOptions{.shape = shape,
                       .classes = source.classes,
                       .train_samples = source.samples,
                       .test_samples = std::max<int64_t>(source.samples / 10, source.classes)});
}

}  // namespace

int32_t Dataset::GetAugmented(uint64_t /*seed*/, int64_t /*data_epoch*/, int64_t index,
                              std::span<float> image) const {
  return Get(Split::kTrain, index, image);
}

absl::StatusOr<std::unique_ptr<const Dataset>> Open(const Source& source) {
  if (source.name == "digits") return OpenDigits();
  if (source.name == "mnist") return OpenMnist(source.path);
  if (source.name == "cifar10") return OpenCifar10(source.path);
  if (source.name == "synthetic") return OpenSynthetic(source);
  return absl::InvalidArgumentError(
      fmt::format("dataset {:?}: must be digits, mnist, cifar10 or synthetic", source.name));
}

}  // namespace grapevine::dataset
