#pragma once

#include <cstddef>
#include <cstdint>

#include "operator/api/exchange_histogram.h"

namespace grapevine::gossip {

// Totals since the start; those of `begun` count on the active side alone, so that a job's sum over
// members counts each exchange once.
struct GossipCounts {
  struct {
    int64_t completed = 0;
    int64_t busy = 0;
    int64_t refused = 0;
    int64_t timed_out = 0;
    int64_t torn = 0;
    api::ExchangeBuckets seconds{};  // of completed ones, from offer to end
    double seconds_max = 0;
  } begun;
  int64_t completed = 0;     // on either side
  int64_t torn = 0;          // on either side
  int64_t rejected = 0;      // frames or streams refused as malformed or foreign
  double peer_distance = 0;  // ||x_i - x_j|| found by the last completed exchange
  double weights_norm = 0;   // ||x_i|| then
  bool settled = false;      // see api Report.settled
  uint64_t view_epoch = 0;
  size_t neighbours = 0;
};

}  // namespace grapevine::gossip
