#include "worker/backend/reference/memory.h"

#include <algorithm>

#include "operator/base/check.h"

namespace grapevine::backend::reference {

PlainTensor::PlainTensor(const Shape& shape, bool has_gradient)
    : shape_(shape), has_gradient_(has_gradient), values_(shape.size()) {}

void PlainTensor::Write(std::span<const float> plain) {
  GRAPEVINE_CHECK(plain.size() == values_.size());
  std::copy(plain.begin(), plain.end(), values_.begin());
}

void PlainTensor::Read(std::span<float> plain) const {
  GRAPEVINE_CHECK(plain.size() == values_.size());
  std::copy(values_.begin(), values_.end(), plain.begin());
}

void PlainTensor::WriteGradient(std::span<const float> plain) {
  GRAPEVINE_CHECK(plain.size() == values_.size());
  gradients_.resize(1);
  gradients_[0].assign(plain.begin(), plain.end());
}

int PlainTensor::AddConsumer() {
  GRAPEVINE_CHECK(gradients_.size() < 2);
  gradients_.emplace_back(has_gradient_ ? values_.size() : 0);
  return static_cast<int>(gradients_.size()) - 1;
}

std::span<float> PlainTensor::consumer_gradient(int consumer) { return gradients_[consumer]; }

std::vector<float> PlainTensor::Gradient() const {
  std::vector<float> sum(values_.size());
  for (const std::vector<float>& part : gradients_) {
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += part[i];
  }
  return sum;
}

}  // namespace grapevine::backend::reference
