#pragma once

#include "operator/base/clock.h"

namespace grapevine::gossip {

// How long one peer may be silent in an exchange before it is given up: twice what recent exchanges
// with it took, at least kLeast, doubled by every timeout up to kMost, and decaying again with
// success. The whole exchange is the measure although each chunk restarts the wait, so that a
// hiccup is never a timeout.
//
// Thread-compatible.
class Patience {
 public:
  static constexpr Duration kLeast = 1s;
  static constexpr Duration kMost = 10s;

  Duration deadline() const;

  // What an exchange takes, from recent ones; zero before the first.
  Duration recent() const { return recent_; }

  void OnCompleted(Duration took);
  void OnTimeout();

 private:
  Duration recent_ = Duration::zero();
  int penalty_ = 1;
};

}  // namespace grapevine::gossip
