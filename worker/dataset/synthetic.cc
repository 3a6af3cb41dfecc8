#include "worker/dataset/synthetic.h"

#include "operator/base/check.h"
#include "worker/dataset/random_stream.h"

namespace grapevine::dataset {
namespace {

// First keys of the streams, so that no image shares numbers with another or with a prototype.
constexpr uint64_t kPrototypes = 1;
constexpr uint64_t kTrainNoise = 2;
constexpr uint64_t kTestNoise = 3;

// prototype + 2 * noise, both uniform in [-1, 1) with variance 1/3, scaled to unit variance.
constexpr float kPrototypeFactor = 0.77459667f;  // sqrt(3 / 5)
constexpr float kNoiseFactor = 2 * kPrototypeFactor;

}  // namespace

SyntheticDataset::SyntheticDataset(const SyntheticOptions& options)
    : options_(options), prototypes_(options.classes * options.shape.elements()) {
  RandomStream random(kPrototypes);
  for (float& value : prototypes_) value = random.Symmetric() * kPrototypeFactor;
}

int32_t SyntheticDataset::Get(Split split, int64_t index, std::span<float> image) const {
  const size_t elements = options_.shape.elements();
  GRAPEVINE_CHECK(image.size() == elements && index >= 0 && index < size(split));
  const auto label = static_cast<int32_t>(index % options_.classes);
  RandomStream random(split == Split::kTrain ? kTrainNoise : kTestNoise,
                      static_cast<uint64_t>(index));
  const float* prototype = prototypes_.data() + label * elements;
  for (size_t i = 0; i < elements; ++i) {
    image[i] = prototype[i] + random.Symmetric() * kNoiseFactor;
  }
  return label;
}

}  // namespace grapevine::dataset
