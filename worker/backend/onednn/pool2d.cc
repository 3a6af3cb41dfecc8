#include <optional>
#include <utility>

#include "worker/backend/onednn/operations.h"
#include "worker/backend/onednn/primitive.h"

namespace grapevine::backend::onednn {
namespace {

using dnnl::memory;

// Thread-compatible.
class Pool final : public Operation {
 public:
  Pool(NhwcTensor& x, const Shape& y, const PoolOptions& options, Device& device)
      : device_(device),
        x_(x),
        consumer_(x.AddConsumer()),
        y_(y, true, device.pool),
        output_gradient_(Elsewhere(NhwcDesc(y), device)),
        input_gradient_(Elsewhere(NhwcDesc(x.shape()), device)) {
    const bool max = options.kind == PoolOptions::Kind::kMax;
    const auto algorithm =
        max ? dnnl::algorithm::pooling_max : dnnl::algorithm::pooling_avg_exclude_padding;
    const bool whole = options.kernel == 0;
    const memory::dims kernel = whole ? memory::dims{x.shape().h, x.shape().w}
                                      : memory::dims{options.kernel, options.kernel};
    const memory::dims strides{options.stride, options.stride};
    const memory::dims zeros{0, 0};
    const memory::desc x_desc = NhwcDesc(x.shape());
    const memory::desc y_desc = NhwcDesc(y);

    const dnnl::pooling_forward::primitive_desc forward(
        device.engine, dnnl::prop_kind::forward_training, algorithm, x_desc, y_desc, strides,
        kernel, zeros, zeros, zeros, UserScratchpad());
    std::unordered_map<int, memory> arguments = {
        {DNNL_ARG_SRC, memory(x_desc, device.engine, x.values())},
        {DNNL_ARG_DST, memory(y_desc, device.engine, y_.values())}};
    const memory workspace =
        max ? memory(forward.workspace_desc(), device.engine) : memory();  // where the maxima were
    if (max) arguments[DNNL_ARG_WORKSPACE] = workspace;
    forward_ = Call(dnnl::pooling_forward(forward), forward, device, std::move(arguments));

    if (!x.has_gradient()) return;
    const dnnl::pooling_backward::primitive_desc backward(device.engine, algorithm, x_desc, y_desc,
                                                          strides, kernel, zeros, zeros, zeros,
                                                          forward, UserScratchpad());
    arguments = {{DNNL_ARG_DIFF_DST, output_gradient_}, {DNNL_ARG_DIFF_SRC, input_gradient_}};
    if (max) arguments[DNNL_ARG_WORKSPACE] = workspace;
    backward_ = Call(dnnl::pooling_backward(backward), backward, device, std::move(arguments));
  }

  Tensor& output() override { return y_; }

  void Forward(Mode) noexcept override { forward_.Run(); }

  void Backward() noexcept override {
    Buffer dy = TakeGradientBeforeRelu(y_, false, device_.pool);
    if (backward_) {
      Buffer dx = device_.pool.Take(x_.shape().size());
      output_gradient_.set_data_handle(dy.get());
      input_gradient_.set_data_handle(dx.get());
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
  memory output_gradient_, input_gradient_;
  Call forward_;
  std::optional<Call> backward_;  // none where x has no gradient
};

}  // namespace

std::unique_ptr<Operation> MakePool(NhwcTensor& x, const Shape& y, const PoolOptions& options,
                                    Device& device) {
  return std::make_unique<Pool>(x, y, options, device);
}

}  // namespace grapevine::backend::onednn
