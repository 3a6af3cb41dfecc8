#pragma once

#include <algorithm>
#include <cmath>
#include <random>

#include "operator/base/check.h"
#include "operator/base/clock.h"

namespace grapevine {

// How long to wait before another try. Immutable.
struct BackoffOptions {
  Duration initial = 100ms;  // before the first retry, > 0
  double factor = 2;         // from one retry to the next, >= 1
  Duration max = 10s;        // never longer than this
  double jitter = 0.2;       // in [0, 1]: the share of the delay that is drawn at random
};

// The delay before retry `attempt` (0 is the first): min(max, initial * factor^attempt), of which
// up to `jitter` is taken off at random, so that those who failed together do not come back
// together. Pure: it holds no state and reads no clock. Cost: one draw.
template <std::uniform_random_bit_generator Rng>
Duration Backoff(const BackoffOptions& options, int attempt, Rng& rng) {
  GRAPEVINE_CHECK(attempt >= 0);
  GRAPEVINE_CHECK(options.initial > 0ns && options.factor >= 1);
  GRAPEVINE_CHECK(options.jitter >= 0 && options.jitter <= 1);
  // In floating point a large attempt overflows to infinity, which the minimum then removes.
  const double grown = ToSeconds(options.initial) * std::pow(options.factor, attempt);
  const double capped = std::min(grown, ToSeconds(options.max));
  const double taken = options.jitter * std::uniform_real_distribution<double>(0, 1)(rng);
  return FromSeconds(capped * (1 - taken));
}

}  // namespace grapevine
