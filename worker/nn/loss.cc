#include "worker/nn/loss.h"

#include <algorithm>
#include <cmath>

#include "operator/base/check.h"

namespace grapevine::nn {

LossResult SoftmaxCrossEntropy(std::span<const float> logits, int classes,
                               std::span<const int32_t> labels, std::span<float> gradient) {
  GRAPEVINE_CHECK(labels.size() * classes <= logits.size());
  GRAPEVINE_CHECK(gradient.empty() || gradient.size() == logits.size());
  LossResult result;
  for (size_t row = 0; row < labels.size(); ++row) {
    GRAPEVINE_CHECK(labels[row] >= 0 && labels[row] < classes);
    const std::span<const float> z = logits.subspan(row * classes, classes);
    const auto largest = std::max_element(z.begin(), z.end());
    double sum = 0;
    for (float value : z) sum += std::exp(static_cast<double>(value) - *largest);
    result.sum += std::log(sum) + *largest - z[labels[row]];
    if (largest - z.begin() == labels[row]) ++result.correct;
    if (gradient.empty()) continue;
    const std::span<float> dz = gradient.subspan(row * classes, classes);
    for (int c = 0; c < classes; ++c) {
      const double probability = std::exp(static_cast<double>(z[c]) - *largest) / sum;
      dz[c] = static_cast<float>((probability - (c == labels[row] ? 1 : 0)) /
                                 static_cast<double>(labels.size()));
    }
  }
  return result;
}

}  // namespace grapevine::nn
