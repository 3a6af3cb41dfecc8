#include "worker/backend/output_shapes.h"

#include <string>

#include "fmt/core.h"

namespace grapevine::backend {
namespace {

absl::Status DoesNotFit(const char* operation, const Shape& x) {
  return absl::InvalidArgumentError(
      fmt::format("{} does not fit {} x {} x {} x {}", operation, x.n, x.c, x.h, x.w));
}

bool Positive(const Shape& x) { return x.n > 0 && x.c > 0 && x.h > 0 && x.w > 0; }

// Windows of `kernel` that fit into `extent`, `stride` apart.
int Windows(int extent, int kernel, int stride) {
  return extent < kernel ? 0 : (extent - kernel) / stride + 1;
}

}  // namespace

absl::StatusOr<Shape> OutputShape(const Shape& x, const ConvolutionOptions& options) {
  if (!Positive(x) || options.output_channels < 1 || options.kernel < 1 || options.stride < 1 ||
      options.padding < 0) {
    return DoesNotFit("convolution", x);
  }
  const Shape y{x.n, options.output_channels,
                Windows(x.h + 2 * options.padding, options.kernel, options.stride),
                Windows(x.w + 2 * options.padding, options.kernel, options.stride)};
  if (!Positive(y)) return DoesNotFit("convolution", x);
  return y;
}

absl::StatusOr<Shape> OutputShape(const Shape& x, const LinearOptions& options) {
  if (!Positive(x) || options.outputs < 1) return DoesNotFit("linear layer", x);
  return Shape{x.n, options.outputs, 1, 1};
}

absl::StatusOr<Shape> OutputShape(const Shape& x, const PoolOptions& options) {
  if (!Positive(x) || options.kernel < 0 || options.stride < 1) return DoesNotFit("pooling", x);
  if (options.kernel == 0) return Shape{x.n, x.c, 1, 1};
  const Shape y{x.n, x.c, Windows(x.h, options.kernel, options.stride),
                Windows(x.w, options.kernel, options.stride)};
  if (!Positive(y)) return DoesNotFit("pooling", x);
  return y;
}

absl::StatusOr<Shape> OutputShape(const Shape& x, const ShortcutOptions& options) {
  const int missing = options.output_channels - x.c;
  if (!Positive(x) || options.stride < 1 || missing < 0 || missing % 2 != 0) {
    return DoesNotFit("shortcut", x);
  }
  return Shape{x.n, options.output_channels, Windows(x.h, 1, options.stride),
               Windows(x.w, 1, options.stride)};
}

absl::Status CheckResidual(const Shape& x, const Tensor* residual) {
  if (!Positive(x) || (residual != nullptr && residual->shape() != x)) {
    return DoesNotFit("batch normalisation", x);
  }
  return absl::OkStatus();
}

}  // namespace grapevine::backend
