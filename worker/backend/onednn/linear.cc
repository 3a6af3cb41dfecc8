#include <optional>
#include <utility>

#include "operator/base/check.h"
#include "worker/backend/onednn/operations.h"
#include "worker/backend/onednn/primitive.h"

namespace grapevine::backend::onednn {
namespace {

using dnnl::memory;

// A matrix where the image is one pixel: oneDNN has faster code for it.
memory::desc InputDesc(const Shape& x) {
  return x.h * x.w == 1 ? PlainDesc({x.n, x.c}) : NhwcDesc(x);
}

// Thread-compatible.
class Linear final : public Operation {
 public:
  Linear(NhwcTensor& x, const Shape& y, const LinearOptions& options, Device& device)
      : device_(device),
        x_(x),
        consumer_(x.AddConsumer()),
        y_(y, true, device.pool),
        options_(options),
        output_gradient_(Elsewhere(PlainDesc({y.n, y.c}), device)),
        input_gradient_(Elsewhere(InputDesc(x.shape()), device)) {
    const memory::desc x_desc = InputDesc(x.shape());
    const memory::desc y_desc = PlainDesc({y.n, y.c});
    memory::dims weight_dims = x_desc.get_dims();
    weight_dims[0] = y.c;

    const dnnl::inner_product_forward::primitive_desc forward(
        device.engine, dnnl::prop_kind::forward_training, x_desc, AnyDesc(weight_dims),
        PlainDesc({y.c}), y_desc, UserScratchpad(options.relu));
    const dnnl::inner_product_backward_weights::primitive_desc backward_weights(
        device.engine, x_desc, AnyDesc(weight_dims), PlainDesc({y.c}), y_desc, forward,
        UserScratchpad());
    weights_.emplace(weight_dims, y.c, forward.weights_desc(), backward_weights.diff_weights_desc(),
                     device);

    const memory x_memory(x_desc, device.engine, x.values());
    forward_ = Call(dnnl::inner_product_forward(forward), forward, device,
                    {{DNNL_ARG_SRC, x_memory},
                     {DNNL_ARG_WEIGHTS, weights_->forward},
                     {DNNL_ARG_BIAS, weights_->bias},
                     {DNNL_ARG_DST, memory(y_desc, device.engine, y_.values())}});
    backward_weights_ =
        Call(dnnl::inner_product_backward_weights(backward_weights), backward_weights, device,
             {{DNNL_ARG_SRC, x_memory},
              {DNNL_ARG_DIFF_DST, output_gradient_},
              {DNNL_ARG_DIFF_WEIGHTS, weights_->gradient},
              {DNNL_ARG_DIFF_BIAS, weights_->bias_gradient}});
    if (!x.has_gradient()) return;
    const dnnl::inner_product_backward_data::primitive_desc backward_data(
        device.engine, x_desc, AnyDesc(weight_dims), y_desc, forward, UserScratchpad());
    weights_->AddBackward(backward_data.weights_desc(), device);
    backward_data_ = Call(dnnl::inner_product_backward_data(backward_data), backward_data, device,
                          {{DNNL_ARG_DIFF_DST, output_gradient_},
                           {DNNL_ARG_WEIGHTS, weights_->backward},
                           {DNNL_ARG_DIFF_SRC, input_gradient_}});
  }

  Tensor& output() override { return y_; }

  void Load(std::span<const std::span<const float>> parameters) noexcept override {
    GRAPEVINE_CHECK(parameters.size() == 2);
    weights_->Load(parameters);
  }

  void ReadGradients(std::span<const std::span<float>> gradients) const noexcept override {
    GRAPEVINE_CHECK(gradients.size() == 2);
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
  const LinearOptions options_;
  memory output_gradient_, input_gradient_;
  mutable std::optional<Weights> weights_;
  Call forward_, backward_weights_;
  std::optional<Call> backward_data_;  // none where x has no gradient
};

}  // namespace

std::unique_ptr<Operation> MakeLinear(NhwcTensor& x, const Shape& y, const LinearOptions& options,
                                      Device& device) {
  return std::make_unique<Linear>(x, y, options, device);
}

}  // namespace grapevine::backend::onednn
