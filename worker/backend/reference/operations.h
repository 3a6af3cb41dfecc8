#pragma once

#include <memory>

#include "worker/backend/backend.h"
#include "worker/backend/reference/memory.h"

// The operations of the backend, one file each. Shapes are checked by ReferenceBackend.
namespace grapevine::backend::reference {

std::unique_ptr<Operation> MakeConvolution(PlainTensor& x, const Shape& y,
                                           const ConvolutionOptions& options);
std::unique_ptr<Operation> MakeLinear(PlainTensor& x, const Shape& y, const LinearOptions& options);
std::unique_ptr<Operation> MakeBatchNorm(PlainTensor& x, PlainTensor* residual,
                                         const BatchNormOptions& options);
std::unique_ptr<Operation> MakePool(PlainTensor& x, const Shape& y, const PoolOptions& options);
std::unique_ptr<Operation> MakeShortcut(PlainTensor& x, const Shape& y,
                                        const ShortcutOptions& options);

// The gradient of an output behind max(0, ·): zero where the output is.
std::vector<float> GradientBeforeRelu(const PlainTensor& y, bool relu);

}  // namespace grapevine::backend::reference
