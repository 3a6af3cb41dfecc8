#include <optional>
#include <utility>

#include "operator/base/check.h"
#include "worker/backend/onednn/operations.h"
#include "worker/backend/onednn/primitive.h"

namespace grapevine::backend::onednn {
namespace {

using dnnl::memory;

// Thread-compatible.
class Convolution final : public Operation {
 public:
  Convolution(NhwcTensor& x, const Shape& y, const ConvolutionOptions& options, Device& device)
      : device_(device),
        x_(x),
        consumer_(x.AddConsumer()),
        y_(y, true, device.pool),
        options_(options),
        output_gradient_(Elsewhere(NhwcDesc(y), device)),
        input_gradient_(Elsewhere(NhwcDesc(x.shape()), device)) {
    const memory::dims weight_dims{y.c, x.shape().c, options.kernel, options.kernel};
    const memory::dims strides{options.stride, options.stride};
    const memory::dims padding{options.padding, options.padding};
    const memory::desc x_desc = NhwcDesc(x.shape());
    const memory::desc y_desc = NhwcDesc(y);
    const memory::desc bias_desc = options.bias ? PlainDesc({y.c}) : memory::desc();
    constexpr auto kAlgorithm = dnnl::algorithm::convolution_direct;

    const dnnl::convolution_forward::primitive_desc forward(
        device.engine, dnnl::prop_kind::forward_training, kAlgorithm, x_desc, AnyDesc(weight_dims),
        bias_desc, y_desc, strides, padding, padding, UserScratchpad(options.relu));
    const dnnl::convolution_backward_weights::primitive_desc backward_weights(
        device.engine, kAlgorithm, x_desc, AnyDesc(weight_dims), bias_desc, y_desc, strides,
        padding, padding, forward, UserScratchpad());
    weights_.emplace(weight_dims, options.bias ? y.c : 0, forward.weights_desc(),
                     backward_weights.diff_weights_desc(), device);

    const memory x_memory(x_desc, device.engine, x.values());
    std::unordered_map<int, memory> arguments = {
        {DNNL_ARG_SRC, x_memory},
        {DNNL_ARG_WEIGHTS, weights_->forward},
        {DNNL_ARG_DST, memory(y_desc, device.engine, y_.values())}};
    if (options.bias) arguments[DNNL_ARG_BIAS] = weights_->bias;
    forward_ = Call(dnnl::convolution_forward(forward), forward, device, std::move(arguments));

    arguments = {{DNNL_ARG_SRC, x_memory},
                 {DNNL_ARG_DIFF_DST, output_gradient_},
                 {DNNL_ARG_DIFF_WEIGHTS, weights_->gradient}};
    if (options.bias) arguments[DNNL_ARG_DIFF_BIAS] = weights_->bias_gradient;
    backward_weights_ = Call(dnnl::convolution_backward_weights(backward_weights), backward_weights,
                             device, std::move(arguments));

    if (!x.has_gradient()) return;
    const dnnl::convolution_backward_data::primitive_desc backward_data(
        device.engine, kAlgorithm, x_desc, AnyDesc(weight_dims), y_desc, strides, padding, padding,
        forward, UserScratchpad());
    weights_->AddBackward(backward_data.weights_desc(), device);
    backward_data_ = Call(dnnl::convolution_backward_data(backward_data), backward_data, device,
                          {{DNNL_ARG_DIFF_DST, output_gradient_},
                           {DNNL_ARG_WEIGHTS, weights_->backward},
                           {DNNL_ARG_DIFF_SRC, input_gradient_}});
  }

  Tensor& output() override { return y_; }

  void Load(std::span<const std::span<const float>> parameters) noexcept override {
    GRAPEVINE_CHECK(parameters.size() == (options_.bias ? 2 : 1));
    weights_->Load(parameters);
  }

  void ReadGradients(std::span<const std::span<float>> gradients) const noexcept override {
    GRAPEVINE_CHECK(gradients.size() == (options_.bias ? 2 : 1));
    weights_->ReadGradients(gradients);
  }

  void Forward(Mode) noexcept override { forward_.Run(); }

  void Backward() noexcept override {
    Buffer dy = TakeGradientBeforeRelu(y_, options_.relu, device_.pool);
    output_gradient_.set_data_handle(dy.get());
    backward_weights_.Run();
    if (backward_data_) {
      Buffer dx = device_.pool.Take(x_.shape().size());
      input_gradient_.set_data_handle(dx.get());
      backward_data_->Run();
      x_.GiveGradient(consumer_, std::move(dx));
    }
    device_.pool.Give(std::move(dy));
  }

 private:
  Device& device_;
  NhwcTensor& x_;
  const int consumer_;
  NhwcTensor y_;
  const ConvolutionOptions options_;
  memory output_gradient_, input_gradient_;
  mutable std::optional<Weights> weights_;
  Call forward_, backward_weights_;
  std::optional<Call> backward_data_;  // none where x has no gradient
};

}  // namespace

std::unique_ptr<Operation> MakeConvolution(NhwcTensor& x, const Shape& y,
                                           const ConvolutionOptions& options, Device& device) {
  return std::make_unique<Convolution>(x, y, options, device);
}

}  // namespace grapevine::backend::onednn
