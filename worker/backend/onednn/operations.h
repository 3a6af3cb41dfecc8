#pragma once

#include <memory>

#include "worker/backend/backend.h"
#include "worker/backend/onednn/memory.h"

// The operations of the backend, one file each. Shapes are checked by OnednnBackend, which also
// catches what the Make functions throw: dnnl::error. Once made, nothing throws; if something does,
// it is a bug, and ends the process at a noexcept.
namespace grapevine::backend::onednn {

// Engine, stream and what the operations share (primitive.h). Thread-compatible.
struct Device;

std::unique_ptr<Operation> MakeConvolution(NhwcTensor& x, const Shape& y,
                                           const ConvolutionOptions& options, Device& device);
std::unique_ptr<Operation> MakeLinear(NhwcTensor& x, const Shape& y, const LinearOptions& options,
                                      Device& device);
std::unique_ptr<Operation> MakeBatchNorm(NhwcTensor& x, NhwcTensor* residual,
                                         const BatchNormOptions& options, GradientPool& pool);
std::unique_ptr<Operation> MakePool(NhwcTensor& x, const Shape& y, const PoolOptions& options,
                                    Device& device);
std::unique_ptr<Operation> MakeShortcut(NhwcTensor& x, const Shape& y,
                                        const ShortcutOptions& options, GradientPool& pool);

}  // namespace grapevine::backend::onednn
