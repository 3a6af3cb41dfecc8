#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "operator/base/clock.h"
#include "operator/base/mutex.h"

namespace grapevine::store {

// The one object that the trainer and the gossip thread share: the flat vector of weights and
// normalisation statistics, and beside it the momentum, both cut into chunks with a lock each. No
// lock is held across the network and none covers more than a chunk, so neither side ever waits
// longer than a pass over 1 MiB.
//
// Thread-safe.
class ParameterStore {
 public:
  // `elements` f32 in chunks of `chunk_elements` (the last one shorter), all zero.
  ParameterStore(size_t elements, size_t chunk_elements);
  ~ParameterStore();
  ParameterStore(const ParameterStore&) = delete;
  ParameterStore& operator=(const ParameterStore&) = delete;

  size_t elements() const { return elements_; }
  uint32_t chunks() const { return static_cast<uint32_t>(chunks_.size()); }
  size_t ChunkOffset(uint32_t chunk) const { return chunk * chunk_elements_; }
  size_t ChunkElements(uint32_t chunk) const;

  // Copies all weights, chunk by chunk. Returns mixes() as it was before the first one: pass it to
  // Apply.
  uint64_t Read(std::span<float> out) const;

  // Calls update(offset, weights, momentum) once per chunk, ascending, under its lock; offset is
  // that of the chunk's first element in the flat vector. Returns the staleness: exchanges mixed in
  // since `read_at`.
  using Update =
      std::function<void(size_t offset, std::span<float> weights, std::span<float> momentum)>;
  uint64_t Apply(uint64_t read_at, const Update& update);

  // Copies one chunk of the weights, or of the momentum.
  void Snapshot(uint32_t chunk, std::span<float> out) const;
  void SnapshotMomentum(uint32_t chunk, std::span<float> out) const;

  // Runs visit(weights) on one chunk under its lock: to encode it without copying it first.
  void Visit(uint32_t chunk,
             const std::function<void(std::span<const float> weights)>& visit) const;

  // Runs mix(weights) on one chunk under its lock.
  void Mix(uint32_t chunk, const std::function<void(std::span<float> weights)>& mix);

  // Counts one exchange as mixed in, for staleness. Called once per exchange, after its last Mix.
  void CountExchange();
  uint64_t mixes() const;

  // Overwrites one chunk: a joiner's copy, a checkpoint, the seed.
  void LoadWeights(uint32_t chunk, std::span<const float> values);
  void LoadMomentum(uint32_t chunk, std::span<const float> values);

  // Time that Read and Apply have waited for locks since the start.
  Duration blocked() const;

 private:
  struct Chunk;

  const size_t elements_;
  const size_t chunk_elements_;
  std::vector<std::unique_ptr<Chunk>> chunks_;
  std::atomic<uint64_t> mixes_ = 0;
  mutable std::atomic<int64_t> blocked_ns_ = 0;
};

}  // namespace grapevine::store
