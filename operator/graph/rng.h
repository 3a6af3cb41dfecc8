#pragma once

#include <cstddef>
#include <random>

#include "operator/base/check.h"

namespace grapevine::graph {

// Every random choice of the planner comes from the one that its caller passes in, so that a seed
// replays a job's graphs. Thread-compatible.
using Rng = std::mt19937_64;

// Uniform in [0, bound).
inline size_t Below(Rng& rng, size_t bound) {
  GRAPEVINE_CHECK(bound > 0);
  return std::uniform_int_distribution<size_t>(0, bound - 1)(rng);
}

}  // namespace grapevine::graph
