#include "worker/backend/onednn/operations.h"
#include "worker/backend/onednn/primitive_operation.h"

namespace grapevine::backend::onednn {

using dnnl::memory;

std::unique_ptr<Operation> MakeConvolution(NhwcTensor& x, const Shape& y,
                                           const ConvolutionOptions& options, Device& device) {
  const memory::dims weight_dims{y.c, x.shape().c, options.kernel, options.kernel};
  const memory::dims strides{options.stride, options.stride};
  const memory::dims padding{options.padding, options.padding};
  const memory::desc x_desc = NhwcDesc(x.shape());
  const memory::desc y_desc = NhwcDesc(y);
  const memory::desc bias_desc = options.bias ? PlainDesc({y.c}) : memory::desc();
  constexpr auto kAlgorithm = dnnl::algorithm::convolution_direct;
  auto operation = std::make_unique<PrimitiveOperation>(
      x, y, PrimitiveOperation::Layout{x_desc, y_desc, options.relu}, device);

  const dnnl::convolution_forward::primitive_desc forward(
      device.engine, dnnl::prop_kind::forward_training, kAlgorithm, x_desc, AnyDesc(weight_dims),
      bias_desc, y_desc, strides, padding, padding, UserScratchpad(options.relu));
  const dnnl::convolution_backward_weights::primitive_desc backward_weights(
      device.engine, kAlgorithm, x_desc, AnyDesc(weight_dims), bias_desc, y_desc, strides, padding,
      padding, forward, UserScratchpad());
  operation->AddWeights(weight_dims, options.bias ? y.c : 0, forward.weights_desc(),
                        backward_weights.diff_weights_desc());
  operation->AddForward(dnnl::convolution_forward(forward), forward);
  operation->AddBackwardWeights(dnnl::convolution_backward_weights(backward_weights),
                                backward_weights);
  if (!x.has_gradient()) return operation;
  const dnnl::convolution_backward_data::primitive_desc backward(
      device.engine, kAlgorithm, x_desc, AnyDesc(weight_dims), y_desc, strides, padding, padding,
      forward, UserScratchpad());
  operation->AddBackward(dnnl::convolution_backward_data(backward), backward);
  return operation;
}

}  // namespace grapevine::backend::onednn
