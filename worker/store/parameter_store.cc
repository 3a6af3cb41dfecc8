#include "worker/store/parameter_store.h"

#include <algorithm>
#include <new>

#include "operator/base/check.h"

namespace grapevine::store {
namespace {

// A cache line, and the widest vector register.
constexpr std::align_val_t kAlignment{64};

struct AlignedDelete {
  void operator()(float* values) const { ::operator delete[](values, kAlignment); }
};
using AlignedFloats = std::unique_ptr<float[], AlignedDelete>;

AlignedFloats Zeros(size_t elements) {
  auto* values = static_cast<float*>(::operator new[](elements * sizeof(float), kAlignment));
  // Writing touches every page, so that no training step pays for it.
  std::fill_n(values, elements, 0.0f);
  return AlignedFloats(values);
}

}  // namespace

struct ParameterStore::Chunk {
  explicit Chunk(size_t elements)
      : elements(elements), weights_memory(Zeros(elements)), momentum_memory(Zeros(elements)) {}

  std::span<float> weights() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    return {weights_memory.get(), elements};
  }
  std::span<float> momentum() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    return {momentum_memory.get(), elements};
  }

  Mutex mutex;
  const size_t elements;
  const AlignedFloats weights_memory ABSL_GUARDED_BY(mutex);
  const AlignedFloats momentum_memory ABSL_GUARDED_BY(mutex);
};

namespace {

// Locks for the trainer: what it waits is added to `blocked_ns`. No clock is read while nobody is
// in the way.
class ABSL_SCOPED_LOCKABLE TimedLock {
 public:
  TimedLock(Mutex& mutex, std::atomic<int64_t>& blocked_ns) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex)
      : mutex_(mutex) {
    if (mutex_.TryLock()) return;
    const auto begin = std::chrono::steady_clock::now();
    mutex_.Lock();
    const Duration waited = std::chrono::steady_clock::now() - begin;
    blocked_ns.fetch_add(waited.count(), std::memory_order_relaxed);
  }
  ~TimedLock() ABSL_UNLOCK_FUNCTION() { mutex_.Unlock(); }
  TimedLock(const TimedLock&) = delete;
  TimedLock& operator=(const TimedLock&) = delete;

 private:
  Mutex& mutex_;
};

}  // namespace

ParameterStore::ParameterStore(size_t elements, size_t chunk_elements)
    : elements_(elements), chunk_elements_(chunk_elements) {
  GRAPEVINE_CHECK(elements > 0 && chunk_elements > 0);
  for (size_t offset = 0; offset < elements; offset += chunk_elements) {
    chunks_.push_back(std::make_unique<Chunk>(std::min(chunk_elements, elements - offset)));
  }
}

ParameterStore::~ParameterStore() = default;

size_t ParameterStore::ChunkElements(uint32_t chunk) const { return chunks_[chunk]->elements; }

uint64_t ParameterStore::Read(std::span<float> out) const {
  GRAPEVINE_CHECK(out.size() == elements_);
  const uint64_t mixes = mixes_.load();
  for (uint32_t c = 0; c < chunks(); ++c) {
    Chunk& chunk = *chunks_[c];
    TimedLock lock(chunk.mutex, blocked_ns_);
    std::ranges::copy(chunk.weights(), out.begin() + static_cast<ptrdiff_t>(ChunkOffset(c)));
  }
  return mixes;
}

uint64_t ParameterStore::Apply(uint64_t read_at, const Update& update) {
  const uint64_t staleness = mixes_.load() - read_at;
  for (uint32_t c = 0; c < chunks(); ++c) {
    Chunk& chunk = *chunks_[c];
    TimedLock lock(chunk.mutex, blocked_ns_);
    update(ChunkOffset(c), chunk.weights(), chunk.momentum());
  }
  return staleness;
}

void ParameterStore::Snapshot(uint32_t chunk, std::span<float> out) const {
  Visit(chunk, [out](std::span<const float> weights) {
    GRAPEVINE_CHECK(out.size() == weights.size());
    std::ranges::copy(weights, out.begin());
  });
}

void ParameterStore::SnapshotMomentum(uint32_t chunk, std::span<float> out) const {
  Chunk& from = *chunks_[chunk];
  GRAPEVINE_CHECK(out.size() == from.elements);
  MutexLock lock(from.mutex);
  std::ranges::copy(from.momentum(), out.begin());
}

void ParameterStore::Visit(uint32_t chunk,
                           const std::function<void(std::span<const float> weights)>& visit) const {
  Chunk& from = *chunks_[chunk];
  MutexLock lock(from.mutex);
  visit(from.weights());
}

void ParameterStore::Mix(uint32_t chunk, const std::function<void(std::span<float> weights)>& mix) {
  Chunk& into = *chunks_[chunk];
  MutexLock lock(into.mutex);
  mix(into.weights());
}

void ParameterStore::CountExchange() { mixes_.fetch_add(1); }

uint64_t ParameterStore::mixes() const { return mixes_.load(); }

void ParameterStore::LoadWeights(uint32_t chunk, std::span<const float> values) {
  Chunk& into = *chunks_[chunk];
  GRAPEVINE_CHECK(values.size() == into.elements);
  MutexLock lock(into.mutex);
  std::ranges::copy(values, into.weights().begin());
}

void ParameterStore::LoadMomentum(uint32_t chunk, std::span<const float> values) {
  Chunk& into = *chunks_[chunk];
  GRAPEVINE_CHECK(values.size() == into.elements);
  MutexLock lock(into.mutex);
  std::ranges::copy(values, into.momentum().begin());
}

Duration ParameterStore::blocked() const {
  return Duration(blocked_ns_.load(std::memory_order_relaxed));
}

}  // namespace grapevine::store
