#include "worker/backend/onednn/operations.h"
#include "worker/backend/onednn/primitive_operation.h"

namespace grapevine::backend::onednn {

using dnnl::memory;

std::unique_ptr<Operation> MakePool(NhwcTensor& x, const Shape& y, const PoolOptions& options,
                                    Device& device) {
  const bool max = options.kind == PoolOptions::Kind::kMax;
  const auto algorithm =
      max ? dnnl::algorithm::pooling_max : dnnl::algorithm::pooling_avg_exclude_padding;
  const bool whole = options.kernel == 0;
  const memory::dims kernel =
      whole ? memory::dims{x.shape().h, x.shape().w} : memory::dims{options.kernel, options.kernel};
  const memory::dims strides{options.stride, options.stride};
  const memory::dims zeros{0, 0};
  const memory::desc x_desc = NhwcDesc(x.shape());
  const memory::desc y_desc = NhwcDesc(y);
  auto operation = std::make_unique<PrimitiveOperation>(
      x, y, PrimitiveOperation::Layout{x_desc, y_desc}, device);

  const dnnl::pooling_forward::primitive_desc forward(
      device.engine, dnnl::prop_kind::forward_training, algorithm, x_desc, y_desc, strides, kernel,
      zeros, zeros, zeros, UserScratchpad());
  PrimitiveOperation::Arguments workspace;  // where the maxima were
  if (max) workspace[DNNL_ARG_WORKSPACE] = memory(forward.workspace_desc(), device.engine);
  operation->AddForward(dnnl::pooling_forward(forward), forward, workspace);
  if (!x.has_gradient()) return operation;
  const dnnl::pooling_backward::primitive_desc backward(device.engine, algorithm, x_desc, y_desc,
                                                        strides, kernel, zeros, zeros, zeros,
                                                        forward, UserScratchpad());
  operation->AddBackward(dnnl::pooling_backward(backward), backward, workspace);
  return operation;
}

}  // namespace grapevine::backend::onednn
