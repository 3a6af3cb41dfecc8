#pragma once

#include <cstdint>

namespace grapevine::dataset {

// One batch to train on, and on whose account.
struct Draw {
  int64_t data_epoch = 0;
  int64_t batch = 0;        // of the data epoch's permutation
  uint64_t lease = 0;       // 0: drawn at random, counts towards nothing
  int64_t position = 0;     // in the lease, from 0
  uint64_t generation = 0;  // of the lease: ids may come again

  bool leased() const { return lease != 0; }
  bool operator==(const Draw&) const = default;
};

}  // namespace grapevine::dataset
