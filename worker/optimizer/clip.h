#pragma once

#include <span>

namespace grapevine::optimizer {

// Shortens a gradient whose L2 norm, over all of it, is above `max_norm` to that norm, and leaves
// its direction (Pascanu, Mikolov and Bengio 2013, arXiv 1211.5063, algorithm 1). It bounds what
// one batch can do to the weights: where a step of the usual length would throw them off for good,
// they move by at most learning_rate · max_norm, or that over 1 − momentum for many like it. Every
// member clips what it computed itself; weight decay comes after and is not counted.
//
// Returns the norm as it was. The gradient is finite; max_norm > 0. Memory-bound: one pass that
// reads, and one that writes where there is something to shorten.
double ClipToNorm(std::span<float> gradient, double max_norm);

}  // namespace grapevine::optimizer
