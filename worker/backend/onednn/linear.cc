#include "worker/backend/onednn/operations.h"
#include "worker/backend/onednn/primitive_operation.h"

namespace grapevine::backend::onednn {
namespace {

using dnnl::memory;

// A matrix where the image is one pixel: oneDNN has faster code for it.
memory::desc InputDesc(const Shape& x) {
  return x.h * x.w == 1 ? PlainDesc({x.n, x.c}) : NhwcDesc(x);
}

}  // namespace

std::unique_ptr<Operation> MakeLinear(NhwcTensor& x, const Shape& y, const LinearOptions& options,
                                      Device& device) {
  const memory::desc x_desc = InputDesc(x.shape());
  const memory::desc y_desc = PlainDesc({y.n, y.c});
  const memory::desc bias_desc = PlainDesc({y.c});
  memory::dims weight_dims = x_desc.get_dims();
  weight_dims[0] = y.c;
  auto operation = std::make_unique<PrimitiveOperation>(
      x, y, PrimitiveOperation::Layout{x_desc, y_desc, options.relu}, device);

  const dnnl::inner_product_forward::primitive_desc forward(
      device.engine, dnnl::prop_kind::forward_training, x_desc, AnyDesc(weight_dims), bias_desc,
      y_desc, UserScratchpad(options.relu));
  const dnnl::inner_product_backward_weights::primitive_desc backward_weights(
      device.engine, x_desc, AnyDesc(weight_dims), bias_desc, y_desc, forward, UserScratchpad());
  operation->AddWeights(weight_dims, y.c, forward.weights_desc(),
                        backward_weights.diff_weights_desc());
  operation->AddForward(dnnl::inner_product_forward(forward), forward);
  operation->AddBackwardWeights(dnnl::inner_product_backward_weights(backward_weights),
                                backward_weights);
  if (!x.has_gradient()) return operation;
  const dnnl::inner_product_backward_data::primitive_desc backward(
      device.engine, x_desc, AnyDesc(weight_dims), y_desc, forward, UserScratchpad());
  operation->AddBackward(dnnl::inner_product_backward_data(backward), backward);
  return operation;
}

}  // namespace grapevine::backend::onednn
