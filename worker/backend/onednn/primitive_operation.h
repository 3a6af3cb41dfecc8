#pragma once

#include <oneapi/dnnl/dnnl.hpp>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>

#include "worker/backend/onednn/primitive.h"

// Included by sources of this folder alone.
namespace grapevine::backend::onednn {

// An operation that is primitives all the way: one for the output, one for the gradients of the
// weights where there are any, one for the gradient of the input where it has one. Who makes it
// adds them, the weights first.
//
// Thread-compatible.
class PrimitiveOperation final : public Operation {
 public:
  struct Layout {
    dnnl::memory::desc x, y;
    bool relu = false;  // fused into the forward primitive
  };
  using Arguments = std::unordered_map<int, dnnl::memory>;

  PrimitiveOperation(NhwcTensor& x, const Shape& y, const Layout& layout, Device& device)
      : device_(device),
        x_(x),
        consumer_(x.AddConsumer()),
        y_(y, true, device.pool),
        relu_(layout.relu),
        x_values_(layout.x, device.engine, x.values()),
        y_values_(layout.y, device.engine, y_.values()),
        x_gradient_(Elsewhere(layout.x, device)),
        y_gradient_(Elsewhere(layout.y, device)) {}

  // As Weights takes them.
  void AddWeights(const dnnl::memory::dims& plain, int outputs, const dnnl::memory::desc& forward,
                  const dnnl::memory::desc& gradient) {
    weights_.emplace(plain, outputs, forward, gradient, device_);
  }

  // `more`: what the primitive takes besides input, output, weights and bias.
  void AddForward(const dnnl::primitive& primitive, const dnnl::primitive_desc_base& desc,
                  Arguments more = {}) {
    more[DNNL_ARG_SRC] = x_values_;
    more[DNNL_ARG_DST] = y_values_;
    if (weights_) more[DNNL_ARG_WEIGHTS] = weights_->forward;
    if (weights_ && weights_->bias) more[DNNL_ARG_BIAS] = weights_->bias;
    forward_ = Call(primitive, desc, device_, std::move(more));
  }

  void AddBackwardWeights(const dnnl::primitive& primitive, const dnnl::primitive_desc_base& desc) {
    Arguments arguments = {{DNNL_ARG_SRC, x_values_},
                           {DNNL_ARG_DIFF_DST, y_gradient_},
                           {DNNL_ARG_DIFF_WEIGHTS, weights_->gradient}};
    if (weights_->bias) arguments[DNNL_ARG_DIFF_BIAS] = weights_->bias_gradient;
    backward_weights_ = Call(primitive, desc, device_, std::move(arguments));
  }

  void AddBackward(const dnnl::primitive& primitive, const dnnl::primitive_desc_base& desc,
                   Arguments more = {}) {
    more[DNNL_ARG_DIFF_DST] = y_gradient_;
    more[DNNL_ARG_DIFF_SRC] = x_gradient_;
    if (weights_) {
      weights_->AddBackward(desc.weights_desc(0), device_);
      more[DNNL_ARG_WEIGHTS] = weights_->backward;
    }
    backward_ = Call(primitive, desc, device_, std::move(more));
  }

  Tensor& output() override { return y_; }

  void Load(std::span<const std::span<const float>> parameters) noexcept override {
    if (weights_) weights_->Load(parameters);
  }

  void ReadGradients(std::span<const std::span<float>> gradients) const noexcept override {
    if (weights_) weights_->ReadGradients(gradients);
  }

  void Forward(Mode) noexcept override { forward_.Run(); }

  void Backward() noexcept override {
    Buffer dy = TakeGradientBeforeRelu(y_, relu_, device_.pool);
    y_gradient_.set_data_handle(dy.get());
    if (backward_weights_) backward_weights_->Run();
    if (backward_) {
      Buffer dx = device_.pool.Take(x_.shape().size());
      x_gradient_.set_data_handle(dx.get());
      backward_->Run();
      x_.GiveGradient(consumer_, std::move(dx));
    }
    device_.pool.Give(std::move(dy));
  }

 private:
  Device& device_;
  NhwcTensor& x_;
  const int consumer_;
  NhwcTensor y_;
  const bool relu_;
  dnnl::memory x_values_, y_values_, x_gradient_, y_gradient_;
  mutable std::optional<Weights> weights_;
  Call forward_;
  std::optional<Call> backward_weights_, backward_;
};

}  // namespace grapevine::backend::onednn
