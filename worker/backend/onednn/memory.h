#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "worker/backend/backend.h"

namespace grapevine::backend::onednn {

// Frees what operator new with an alignment gave.
struct AlignedDelete {
  void operator()(float* memory) const;
};

// Uninitialised floats at the start of a cache line; empty by default and once moved from.
// Thread-compatible.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t size);
  Buffer(Buffer&& other) noexcept
      : memory_(std::move(other.memory_)), size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    memory_ = std::move(other.memory_);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }

  float* get() const { return memory_.get(); }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

 private:
  std::unique_ptr<float[], AlignedDelete> memory_;
  size_t size_ = 0;
};

// Buffers for gradients, which live for a moment each: what was given back last, and is still in
// the cache, is handed out first among those of the smallest size that suffices. Reserve keeps it
// from allocating while a network of ordinary shape trains.
//
// Thread-compatible.
class GradientPool {
 public:
  void Reserve(size_t size);
  Buffer Take(size_t size);
  void Give(Buffer buffer);

 private:
  std::vector<Buffer> free_;
};

// A tensor in the layout n, h, w, c: channels lie side by side, so that one kernel serves any image
// size, and with AVX2 oneDNN's convolutions are faster on it than on blocks of channels (358
// against 340 images/s over those of ResNet-20). Thread-compatible.
class NhwcTensor final : public Tensor {
 public:
  NhwcTensor(const Shape& shape, bool has_gradient, GradientPool& pool);

  const Shape& shape() const override { return shape_; }
  void Write(std::span<const float> plain) override;
  void Read(std::span<float> plain) const override;
  void WriteGradient(std::span<const float> plain) override;

  bool has_gradient() const { return has_gradient_; }
  float* values() { return values_.get(); }
  const float* values() const { return values_.get(); }

  // Adds a consumer and returns its number, for GiveGradient.
  int AddConsumer();
  void GiveGradient(int consumer, Buffer gradient);
  // For the producer: those of all consumers, the second one empty where there is one only.
  std::array<Buffer, 2> TakeGradients();

 private:
  const Shape shape_;
  const bool has_gradient_;
  GradientPool& pool_;
  Buffer values_;
  int consumers_ = 0;
  std::array<Buffer, 2> gradients_;
};

// y's gradient before max(0, ·), in one buffer: the sum over consumers, zero where y is if `relu`.
// A pass over memory only where there is something to do.
Buffer TakeGradientBeforeRelu(NhwcTensor& y, bool relu, GradientPool& pool);

}  // namespace grapevine::backend::onednn
