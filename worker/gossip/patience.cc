#include "worker/gossip/patience.h"

#include <algorithm>

namespace grapevine::gossip {

Duration Patience::deadline() const {
  // Bounded before the products, which could overflow otherwise.
  const Duration fair = std::clamp(2 * std::min(recent_, kMost), kLeast, kMost);
  return std::min(fair * penalty_, kMost);
}

void Patience::OnCompleted(Duration took) {
  recent_ = std::max(took, recent_ - recent_ / 8);
  penalty_ = std::max(1, penalty_ / 2);
}

void Patience::OnTimeout() {
  if (deadline() < kMost) penalty_ *= 2;
}

}  // namespace grapevine::gossip
