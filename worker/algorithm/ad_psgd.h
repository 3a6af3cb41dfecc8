#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "worker/optimizer/sgd.h"
#include "worker/store/parameter_layout.h"
#include "worker/store/parameter_store.h"

namespace grapevine::algorithm {

// Asynchronous decentralised parallel SGD (Lian et al., ICML 2018, Algorithm 1), the trainer's
// half: what happens to a gradient. The other half, averaging with a neighbour, is the gossip
// driver's, and the two meet in the store alone.
//
//   a gradient waits for   nothing: it is applied at once, to whatever the weights are by then
//   bytes on the wire      2 x the model an exchange, perStep exchanges a step, in the background
//   staleness              the exchanges mixed in between ReadWeights and OnGradient
//   a lost peer            costs training nothing; the driver picks another
//
// Lives on the trainer thread.
class AdPsgd {
 public:
  // `sgd.learning_rate` is not read. `on_step` runs after each gradient: the driver's debt grows.
  // Borrows store and layout.
  AdPsgd(store::ParameterStore& store, const store::ParameterLayout& layout,
         const optimizer::SgdOptions& sgd, std::function<void()> on_step);

  // Copies the weights (layout.size) that the next gradient is to be taken at.
  void ReadWeights(std::span<float> weights);

  // Applies the gradient (layout.trained_size) taken at the last ReadWeights as one step of SGD,
  // chunk by chunk, and moves the running normalisation statistics a tenth of the way to those of
  // the batch (the rest of the layout). Returns the staleness.
  uint64_t OnGradient(std::span<const float> gradient, std::span<const float> statistics,
                      double learning_rate);

 private:
  store::ParameterStore& store_;
  const store::ParameterLayout& layout_;
  optimizer::SgdOptions sgd_;
  const std::function<void()> on_step_;
  uint64_t read_at_ = 0;
};

}  // namespace grapevine::algorithm
