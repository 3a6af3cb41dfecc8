#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace grapevine::gossip {

// How a flat vector is cut into chunks: all of one length but the last. Immutable.
struct ChunkGrid {
  size_t elements = 0;
  size_t chunk_elements = 1;

  uint32_t chunks() const {
    return static_cast<uint32_t>((elements + chunk_elements - 1) / chunk_elements);
  }
  // REQUIRES: chunk < chunks().
  size_t ElementsOf(uint32_t chunk) const {
    return std::min(chunk_elements, elements - chunk * chunk_elements);
  }
};

}  // namespace grapevine::gossip
