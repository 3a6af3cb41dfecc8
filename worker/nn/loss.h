#pragma once

#include <cstdint>
#include <span>

namespace grapevine::nn {

struct LossResult {
  double sum = 0;   // over the samples
  int correct = 0;  // the first of equal largest logits counts
};

// −ln softmax(logits)[label] for the first labels.size() rows of logits (rows × classes). If
// `gradient` is not empty (as long as logits), it gets the gradient of the mean loss over those
// rows. Logits that are not finite give a loss that is not finite, never a crash.
LossResult SoftmaxCrossEntropy(std::span<const float> logits, int classes,
                               std::span<const int32_t> labels, std::span<float> gradient);

}  // namespace grapevine::nn
