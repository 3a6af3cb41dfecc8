#include "worker/backend/reference/reference_backend.h"

#include "worker/backend/output_shapes.h"
#include "worker/backend/reference/operations.h"

namespace grapevine::backend::reference {
namespace {

PlainTensor& Plain(Tensor& tensor) { return static_cast<PlainTensor&>(tensor); }

// Thread-compatible.
class ReferenceBackend final : public Backend {
 public:
  std::unique_ptr<Tensor> MakeTensor(const Shape& shape) override {
    return std::make_unique<PlainTensor>(shape, false);
  }

  MadeOperation MakeConvolution(Tensor& x, const ConvolutionOptions& options) override {
    const absl::StatusOr<Shape> y = OutputShape(x.shape(), options);
    if (!y.ok()) return y.status();
    return reference::MakeConvolution(Plain(x), *y, options);
  }

  MadeOperation MakeLinear(Tensor& x, const LinearOptions& options) override {
    const absl::StatusOr<Shape> y = OutputShape(x.shape(), options);
    if (!y.ok()) return y.status();
    return reference::MakeLinear(Plain(x), *y, options);
  }

  MadeOperation MakeBatchNorm(Tensor& x, Tensor* residual,
                              const BatchNormOptions& options) override {
    const absl::Status fits = CheckResidual(x.shape(), residual);
    if (!fits.ok()) return fits;
    return reference::MakeBatchNorm(Plain(x), residual ? &Plain(*residual) : nullptr, options);
  }

  MadeOperation MakePool(Tensor& x, const PoolOptions& options) override {
    const absl::StatusOr<Shape> y = OutputShape(x.shape(), options);
    if (!y.ok()) return y.status();
    return reference::MakePool(Plain(x), *y, options);
  }

  MadeOperation MakeShortcut(Tensor& x, const ShortcutOptions& options) override {
    const absl::StatusOr<Shape> y = OutputShape(x.shape(), options);
    if (!y.ok()) return y.status();
    return reference::MakeShortcut(Plain(x), *y, options);
  }
};

}  // namespace

std::vector<float> GradientBeforeRelu(const PlainTensor& y, bool relu) {
  std::vector<float> dy = y.Gradient();
  if (relu) {
    for (size_t i = 0; i < dy.size(); ++i) {
      if (!(y.values()[i] > 0)) dy[i] = 0;
    }
  }
  return dy;
}

std::unique_ptr<Backend> MakeBackend() { return std::make_unique<ReferenceBackend>(); }

}  // namespace grapevine::backend::reference
