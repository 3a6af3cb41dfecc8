#include "worker/dataset/dataset.h"

#include <fmt/format.h>

#include <algorithm>

#include "absl/status/status.h"
#include "worker/dataset/cifar10.h"
#include "worker/dataset/digits.h"
#include "worker/dataset/mnist.h"
#include "worker/dataset/synthetic.h"

namespace grapevine::dataset {

int32_t Dataset::GetAugmented(uint64_t /*seed*/, int64_t /*data_epoch*/, int64_t index,
                              std::span<float> image) const {
  return Get(Split::kTrain, index, image);
}

absl::StatusOr<std::unique_ptr<const Dataset>> Open(const Source& source) {
  if (source.name == "digits") return OpenDigits();
  if (source.name == "mnist") return OpenMnist(source.path);
  if (source.name == "cifar10") return OpenCifar10(source.path);
  if (source.name == "synthetic") {
    const Shape& shape = source.shape;
    if (shape.channels < 1 || shape.height < 1 || shape.width < 1 || source.classes < 2 ||
        source.samples < 2) {
      return absl::InvalidArgumentError(fmt::format(
          "synthetic: shape {} x {} x {}, {} classes, {} samples; extents must be at least 1, "
          "classes and samples at least 2",
          shape.channels, shape.height, shape.width, source.classes, source.samples));
    }
    return std::make_unique<SyntheticDataset>(
        SyntheticOptions{.shape = shape,
                         .classes = source.classes,
                         .train_samples = source.samples,
                         .test_samples = std::max<int64_t>(source.samples / 10, source.classes)});
  }
  return absl::InvalidArgumentError(
      fmt::format("dataset {:?}: must be digits, mnist, cifar10 or synthetic", source.name));
}

}  // namespace grapevine::dataset
