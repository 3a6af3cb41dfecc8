#include "worker/backend/onednn/onednn_backend.h"

#include <dlfcn.h>

#include <functional>

#include "fmt/core.h"
#include "worker/backend/onednn/operations.h"
#include "worker/backend/onednn/primitive.h"
#include "worker/backend/output_shapes.h"

namespace grapevine::backend::onednn {
namespace {

NhwcTensor& Nhwc(Tensor& tensor) { return static_cast<NhwcTensor&>(tensor); }

// oneDNN takes its threads from the OpenMP runtime that it was linked with, whichever that is; a
// build without one has no such symbol and needs none. The number belongs to the calling thread.
void SetOpenMpThreads(int threads) {
  using SetThreads = void (*)(int);
  static const auto set = reinterpret_cast<SetThreads>(dlsym(RTLD_DEFAULT, "omp_set_num_threads"));
  if (set != nullptr) set(threads);
}

// Sets the number of threads before each use, since a model may be made on one thread and run on
// another. Thread-compatible.
class WithThreads final : public Operation {
 public:
  WithThreads(std::unique_ptr<Operation> operation, int threads)
      : operation_(std::move(operation)), threads_(threads) {}

  Tensor& output() override { return operation_->output(); }
  void Forward(Mode mode) override {
    SetOpenMpThreads(threads_);
    operation_->Forward(mode);
  }
  void Backward() override {
    SetOpenMpThreads(threads_);
    operation_->Backward();
  }
  void Load(std::span<const std::span<const float>> parameters) override {
    SetOpenMpThreads(threads_);
    operation_->Load(parameters);
  }
  void ReadGradients(std::span<const std::span<float>> gradients) const override {
    SetOpenMpThreads(threads_);
    operation_->ReadGradients(gradients);
  }
  void ReadStatistics(std::span<float> mean, std::span<float> variance) const override {
    operation_->ReadStatistics(mean, variance);
  }

 private:
  const std::unique_ptr<Operation> operation_;
  const int threads_;
};

// Thread-compatible.
class OnednnBackend final : public Backend {
 public:
  explicit OnednnBackend(int threads) : threads_(threads) {}

  std::unique_ptr<Tensor> MakeTensor(const Shape& shape) override {
    return std::make_unique<NhwcTensor>(shape, false, device_.pool);
  }

  MadeOperation MakeConvolution(Tensor& x, const ConvolutionOptions& options) override {
    return Make(OutputShape(x.shape(), options), [&](const Shape& y) {
      return onednn::MakeConvolution(Nhwc(x), y, options, device_);
    });
  }

  MadeOperation MakeLinear(Tensor& x, const LinearOptions& options) override {
    return Make(OutputShape(x.shape(), options),
                [&](const Shape& y) { return onednn::MakeLinear(Nhwc(x), y, options, device_); });
  }

  MadeOperation MakeBatchNorm(Tensor& x, Tensor* residual,
                              const BatchNormOptions& options) override {
    const absl::Status fits = CheckResidual(x.shape(), residual);
    if (!fits.ok()) return fits;
    return onednn::MakeBatchNorm(Nhwc(x), residual ? &Nhwc(*residual) : nullptr, options,
                                 device_.pool);
  }

  MadeOperation MakePool(Tensor& x, const PoolOptions& options) override {
    return Make(OutputShape(x.shape(), options),
                [&](const Shape& y) { return onednn::MakePool(Nhwc(x), y, options, device_); });
  }

  MadeOperation MakeShortcut(Tensor& x, const ShortcutOptions& options) override {
    return Make(OutputShape(x.shape(), options), [&](const Shape& y) {
      return onednn::MakeShortcut(Nhwc(x), y, options, device_.pool);
    });
  }

 private:
  using MakeWithShape = std::function<std::unique_ptr<Operation>(const Shape& y)>;

  MadeOperation Make(const absl::StatusOr<Shape>& y, const MakeWithShape& make) {
    if (!y.ok()) return y.status();
    SetOpenMpThreads(threads_);
    try {
      return std::make_unique<WithThreads>(make(*y), threads_);
    } catch (const dnnl::error& error) {
      return absl::InternalError(
          fmt::format("oneDNN: {} ({})", error.what(), static_cast<int>(error.status)));
    }
  }

  const int threads_;
  Device device_;
};

}  // namespace

std::unique_ptr<Backend> MakeBackend(int threads) {
  return std::make_unique<OnednnBackend>(threads);
}

}  // namespace grapevine::backend::onednn
