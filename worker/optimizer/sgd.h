#pragma once

#include <cstddef>
#include <span>

namespace grapevine::optimizer {

struct SgdOptions {
  float learning_rate = 0;
  float momentum = 0;  // 0: plain SGD; the momentum vector is then left alone
  float weight_decay = 0;
  bool nesterov = true;
};

// One step of SGD with momentum on a piece of the flat vector, in one pass:
//
//   g := gradient + weight_decay · weights     (the first `decayed` elements only)
//   v := momentum · v + g
//   weights −= learning_rate · (g + momentum · v)   with Nesterov, learning_rate · v without
//
// The learning rate is outside v, so a change of it needs no correction of v. As is usual, weights
// decay but biases and the scale and shift of normalisations do not: the layout puts the former
// first, so for a chunk at `offset` pass decayed = DecayedInChunk(...), and cut the chunk off at
// ParameterLayout::trained_size.
//
// Memory-bound: 12 bytes read and 8 written per element. The spans are equally long.
void SgdUpdate(std::span<float> weights, std::span<float> momentum, std::span<const float> gradient,
               const SgdOptions& options, size_t decayed);

// How many of the `elements` that start at `offset` lie below `decayed_size`.
inline size_t DecayedInChunk(size_t offset, size_t elements, size_t decayed_size) {
  if (offset >= decayed_size) return 0;
  return decayed_size - offset < elements ? decayed_size - offset : elements;
}

}  // namespace grapevine::optimizer
