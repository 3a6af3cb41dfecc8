#include "worker/store/chunk_pool.h"

#include <new>
#include <utility>

namespace grapevine::store {
namespace {

constexpr std::align_val_t kPage{4096};

struct OwnedBlock final : ChunkPool::Block {
  explicit OwnedBlock(size_t size) {
    bytes = {static_cast<std::byte*>(::operator new[](size, kPage)), size};
  }
  ~OwnedBlock() { ::operator delete[](bytes.data(), kPage); }
  OwnedBlock(const OwnedBlock&) = delete;
  OwnedBlock& operator=(const OwnedBlock&) = delete;
};

}  // namespace

struct ChunkPool::Shelf {
  Shelf(size_t block_bytes, size_t most) : block_bytes(block_bytes), most(most) {
    free.reserve(most);
  }

  const size_t block_bytes;
  const size_t most;
  Mutex mutex;
  size_t made ABSL_GUARDED_BY(mutex) = 0;
  std::vector<std::unique_ptr<OwnedBlock>> free ABSL_GUARDED_BY(mutex);
};

ChunkPool::ChunkPool(size_t block_bytes, size_t most)
    : shelf_(std::make_shared<Shelf>(block_bytes, most)) {}

std::shared_ptr<ChunkPool::Block> ChunkPool::Take() {
  std::unique_ptr<OwnedBlock> block;
  {
    MutexLock lock(shelf_->mutex);
    if (!shelf_->free.empty()) {
      // The last one back is the likeliest to be in a cache.
      block = std::move(shelf_->free.back());
      shelf_->free.pop_back();
    } else if (shelf_->made < shelf_->most) {
      ++shelf_->made;
    } else {
      return nullptr;
    }
  }
  if (!block) block = std::make_unique<OwnedBlock>(shelf_->block_bytes);
  OwnedBlock* bare = block.release();
  return {bare, [shelf = shelf_](OwnedBlock* returned) {
            std::unique_ptr<OwnedBlock> owned(returned);
            MutexLock lock(shelf->mutex);
            shelf->free.push_back(std::move(owned));
          }};
}

}  // namespace grapevine::store
