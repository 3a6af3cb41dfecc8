#include "worker/dataset/digits.h"

#include <iterator>
#include <string_view>

#include "operator/base/check.h"
#include "worker/dataset/image_table.h"
#include "worker/dataset/permutation.h"

namespace grapevine::dataset {
namespace {

constexpr Shape kShape = {1, 8, 8};
constexpr int64_t kHeldOut = 360;
constexpr uint64_t kHeldOutSeed = 1998;

// One sample a line: 64 pixels, a digit each to base 17, and the label.
constexpr std::string_view kSamples[] = {
#include "worker/dataset/digits_samples.inc"
};

uint8_t Value(char digit) {
  return static_cast<uint8_t>(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

}  // namespace

std::unique_ptr<const Dataset> OpenDigits() {
  const auto order = Permutation(kHeldOutSeed, 0, std::size(kSamples));
  ByteImages train;
  ByteImages test;
  for (size_t i = 0; i < order.size(); ++i) {
    const std::string_view sample = kSamples[order[i]];
    GRAPEVINE_CHECK(sample.size() == kShape.elements() + 1);
    ByteImages& images = static_cast<int64_t>(i) < kHeldOut ? test : train;
    for (char pixel : sample.substr(0, kShape.elements())) images.pixels.push_back(Value(pixel));
    images.labels.push_back(Value(sample.back()));
  }
  return std::make_unique<ImageTable>(
      TableOptions{
          .shape = kShape, .classes = 10, .scale = 16, .mean = {0.3053}, .deviation = {0.3761}},
      std::move(train), std::move(test));
}

}  // namespace grapevine::dataset
