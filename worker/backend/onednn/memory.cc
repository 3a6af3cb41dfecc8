#include "worker/backend/onednn/memory.h"

#include <algorithm>
#include <new>
#include <utility>

#include "operator/base/check.h"
#include "worker/backend/onednn/kernels.h"

namespace grapevine::backend::onednn {
namespace {

constexpr std::align_val_t kCacheLine{64};

// As many as live at once in a chain of residual blocks.
constexpr int kGradientsAtOnce = 4;

}  // namespace

void AlignedDelete::operator()(float* memory) const { ::operator delete[](memory, kCacheLine); }

Buffer::Buffer(size_t size)
    : memory_(static_cast<float*>(::operator new[](size * sizeof(float), kCacheLine))),
      size_(size) {}

void GradientPool::Reserve(size_t size) {
  const auto fits = [&](const Buffer& buffer) { return buffer.size() == size; };
  while (std::count_if(free_.begin(), free_.end(), fits) < kGradientsAtOnce) {
    free_.emplace_back(size);
  }
}

Buffer GradientPool::Take(size_t size) {
  auto best = free_.end();
  for (auto it = free_.begin(); it != free_.end(); ++it) {
    if (it->size() >= size && (best == free_.end() || it->size() <= best->size())) best = it;
  }
  if (best == free_.end()) return Buffer(size);
  Buffer buffer = std::move(*best);
  free_.erase(best);
  return buffer;
}

void GradientPool::Give(Buffer buffer) {
  if (!buffer.empty()) free_.push_back(std::move(buffer));
}

NhwcTensor::NhwcTensor(const Shape& shape, bool has_gradient, GradientPool& pool)
    : shape_(shape), has_gradient_(has_gradient), pool_(pool), values_(shape.size()) {
  std::fill_n(values_.get(), shape.size(), 0.0f);
  if (has_gradient) pool.Reserve(shape.size());
}

void NhwcTensor::Write(std::span<const float> plain) {
  GRAPEVINE_CHECK(plain.size() == shape_.size());
  PlainToNhwc(plain.data(), shape_, values_.get());
}

void NhwcTensor::Read(std::span<float> plain) const {
  GRAPEVINE_CHECK(plain.size() == shape_.size());
  NhwcToPlain(values_.get(), shape_, plain.data());
}

void NhwcTensor::WriteGradient(std::span<const float> plain) {
  GRAPEVINE_CHECK(plain.size() == shape_.size() && consumers_ == 0);
  if (gradients_[0].empty()) gradients_[0] = pool_.Take(shape_.size());
  PlainToNhwc(plain.data(), shape_, gradients_[0].get());
}

int NhwcTensor::AddConsumer() {
  GRAPEVINE_CHECK(consumers_ < 2);
  return consumers_++;
}

void NhwcTensor::GiveGradient(int consumer, Buffer gradient) {
  GRAPEVINE_CHECK(gradient.size() >= shape_.size());
  pool_.Give(std::exchange(gradients_[consumer], std::move(gradient)));
}

std::array<Buffer, 2> NhwcTensor::TakeGradients() {
  GRAPEVINE_CHECK(!gradients_[0].empty() && (consumers_ < 2 || !gradients_[1].empty()));
  return std::exchange(gradients_, std::array<Buffer, 2>());
}

Buffer TakeGradientBeforeRelu(NhwcTensor& y, bool relu, GradientPool& pool) {
  std::array<Buffer, 2> gradients = y.TakeGradients();
  if (relu || !gradients[1].empty()) {
    CombineGradients(gradients[0].get(), gradients[1].get(), relu ? y.values() : nullptr,
                     y.shape().size());
  }
  pool.Give(std::move(gradients[1]));
  return std::move(gradients[0]);
}

}  // namespace grapevine::backend::onednn
