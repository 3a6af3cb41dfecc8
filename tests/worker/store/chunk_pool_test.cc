#include "worker/store/chunk_pool.h"

#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace grapevine::store {
namespace {

TEST(ChunkPool, BlocksComeBackAndAreUsedAgain) {
  ChunkPool pool(1000, 4);
  auto block = pool.Take();
  ASSERT_NE(block, nullptr);
  EXPECT_EQ(block->bytes.size(), 1000u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(block->bytes.data()) % 4096, 0u);
  const std::byte* memory = block->bytes.data();
  block.reset();
  EXPECT_EQ(pool.Take()->bytes.data(), memory);
}

TEST(ChunkPool, ThereAreNoMoreThanItMay) {
  ChunkPool pool(16, 3);
  std::vector<std::shared_ptr<ChunkPool::Block>> held;
  for (int i = 0; i < 3; ++i) held.push_back(pool.Take());
  EXPECT_EQ(pool.Take(), nullptr);
  held.pop_back();
  EXPECT_NE(pool.Take(), nullptr);
}

TEST(ChunkPool, ABlockOutlivesThePool) {
  std::shared_ptr<ChunkPool::Block> block;
  {
    ChunkPool pool(64, 1);
    block = pool.Take();
  }
  std::memset(block->bytes.data(), 1, block->bytes.size());
}

TEST(ChunkPool, BlocksMayBeLetGoOnAnyThread) {
  ChunkPool pool(64, 2);
  for (int i = 0; i < 100; ++i) {
    auto block = pool.Take();
    ASSERT_NE(block, nullptr);
    std::memset(block->bytes.data(), i, block->bytes.size());
    std::jthread([held = std::move(block)]() mutable { held.reset(); });
  }
}

}  // namespace
}  // namespace grapevine::store
