#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "operator/base/mutex.h"

namespace grapevine::store {

// Blocks of memory for snapshots, used again and again: a block comes back when the last of those
// that hold it (the exchange until it has mixed the chunk, the transport until the bytes have left)
// lets it go, on whatever thread. Blocks are made when first needed, at most `most` of them, and
// outlive the pool while held.
//
// Thread-safe.
class ChunkPool {
 public:
  struct Block {
    std::span<std::byte> bytes;  // of the pool's size, aligned to a page
  };

  ChunkPool(size_t block_bytes, size_t most);

  // Null when all blocks are held.
  std::shared_ptr<Block> Take();

 private:
  struct Shelf;

  const std::shared_ptr<Shelf> shelf_;
};

}  // namespace grapevine::store
