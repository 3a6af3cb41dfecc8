#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/backend/backend.h"

// What each operation makes of a shape; InvalidArgument where it does not fit. The same for all
// backends.
namespace grapevine::backend {

absl::StatusOr<Shape> OutputShape(const Shape& x, const ConvolutionOptions& options);
absl::StatusOr<Shape> OutputShape(const Shape& x, const LinearOptions& options);
absl::StatusOr<Shape> OutputShape(const Shape& x, const PoolOptions& options);
absl::StatusOr<Shape> OutputShape(const Shape& x, const ShortcutOptions& options);
absl::Status CheckResidual(const Shape& x, const Tensor* residual);

}  // namespace grapevine::backend
