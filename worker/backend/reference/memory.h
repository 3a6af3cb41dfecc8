#pragma once

#include <span>
#include <vector>

#include "worker/backend/backend.h"

namespace grapevine::backend::reference {

// A tensor in plain layout, with one gradient for each consumer. Thread-compatible.
class PlainTensor final : public Tensor {
 public:
  PlainTensor(const Shape& shape, bool has_gradient);

  const Shape& shape() const override { return shape_; }
  void Write(std::span<const float> plain) override;
  void Read(std::span<float> plain) const override;
  void WriteGradient(std::span<const float> plain) override;

  bool has_gradient() const { return has_gradient_; }
  float* values() { return values_.data(); }
  const float* values() const { return values_.data(); }

  // Adds a consumer and returns its number, for consumer_gradient.
  int AddConsumer();
  // What the consumer's Backward has to fill; empty if the tensor has no gradient.
  std::span<float> consumer_gradient(int consumer);
  // The sum over the consumers.
  std::vector<float> Gradient() const;

 private:
  const Shape shape_;
  const bool has_gradient_;
  std::vector<float> values_;
  std::vector<std::vector<float>> gradients_;
};

}  // namespace grapevine::backend::reference
