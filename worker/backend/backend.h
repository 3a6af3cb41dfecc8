#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "absl/status/statusor.h"

namespace grapevine::backend {

// Samples, channels, height, width. A matrix has height and width 1.
struct Shape {
  int n = 0, c = 0, h = 1, w = 1;
  size_t size() const { return static_cast<size_t>(n) * c * h * w; }
  bool operator==(const Shape&) const = default;
};

// A value that flows from operation to operation, and in the backward pass its gradient. Where it
// lies and in which layout is the backend's own affair; plain means row-major n, c, h, w in host
// memory.
//
// Thread-compatible. The output of an operation belongs to the operation.
class Tensor {
 public:
  virtual ~Tensor() = default;
  virtual const Shape& shape() const = 0;
  virtual void Write(std::span<const float> plain) = 0;
  virtual void Read(std::span<float> plain) const = 0;
  // Starts a backward pass at this tensor, which no operation consumes.
  virtual void WriteGradient(std::span<const float> plain) = 0;
};

// kTraining: normalisations use the batch's own statistics, and everything that Backward needs is
// kept. kInference: normalisations use the loaded statistics.
enum class Mode { kTraining, kInference };

// One operation with its output, bound to its inputs when it is made; its batch size never changes.
// A step is Load on all operations, Forward in the order of making, then Backward in the reverse
// order.
//
// The gradient of a tensor lives from the Backward of its first consumer in that order to the
// Backward of its producer. A tensor may have at most two consumers; the producer adds their
// gradients up while it reads them, which costs no pass of its own.
//
// Nothing here fails: shapes were checked when the operation was made.
//
// Thread-compatible, and no two operations of one backend object may run at once.
class Operation {
 public:
  virtual ~Operation() = default;
  virtual Tensor& output() = 0;
  virtual void Forward(Mode mode) = 0;
  // Gradients of the inputs and the parameters, from the output's. Only after Forward(kTraining).
  virtual void Backward() = 0;

  // The parameters in their plain layout, in the order of the operation's options below. Load
  // copies.
  virtual void Load(std::span<const std::span<const float>> /*parameters*/) {}
  // The same order, of the last Backward; overwrites.
  virtual void ReadGradients(std::span<const std::span<float>> /*gradients*/) const {}
  // Normalisations: mean and (biased) variance of the last Forward(kTraining).
  virtual void ReadStatistics(std::span<float> /*mean*/, std::span<float> /*variance*/) const {}
};

// Cross-correlation, zero-padded. Parameters: weight (output, input, kernel, kernel), then, if
// `bias`, bias (output).
struct ConvolutionOptions {
  int output_channels = 0;
  int kernel = 3;
  int stride = 1;
  int padding = 1;
  bool bias = false;
  bool relu = false;  // y = max(0, ...), fused
};

// y = W x + b over all channels, rows and columns of a sample, flattened in plain order.
// Parameters: weight (outputs, inputs), bias (outputs).
struct LinearOptions {
  int outputs = 0;
  bool relu = false;
};

// y = scale · (x − mean) / √(variance + epsilon) + shift per channel, then + residual if there is
// one, then max(0, ·) if `relu`. Parameters: scale (c), shift (c), mean (c), variance (c); the
// latter two are read in inference alone and get no gradient: ReadGradients takes the first two.
struct BatchNormOptions {
  float epsilon = 1e-5f;
  bool relu = false;
};

// Windows of kernel × kernel without padding; a window that does not fit is left out. Kernel 0 is
// one window over the whole image.
struct PoolOptions {
  enum class Kind { kMax, kAverage } kind = Kind::kMax;
  int kernel = 2;
  int stride = 2;
};

// The parameter-free shortcut of He et al. (2015), section 3.3, option A: every stride-th row and
// column, and zeros for the channels that are missing, the same number before and after.
struct ShortcutOptions {
  int output_channels = 0;
  int stride = 2;
};

// Makes tensors and operations; the few things that a vendor's library does better than a loop.
// What can be written once for all of them (wiring, losses, models) is in worker/nn. The reference
// backend computes all of it with naive loops and is what the others are tested against.
//
// An input may be a tensor without gradient (MakeTensor): no gradient is computed for it.
// InvalidArgument when shapes do not fit, Internal when the vendor's library refuses.
//
// Thread-compatible. Must outlive everything that it made.
class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::unique_ptr<Tensor> MakeTensor(const Shape& shape) = 0;

  using MadeOperation = absl::StatusOr<std::unique_ptr<Operation>>;
  virtual MadeOperation MakeConvolution(Tensor& x, const ConvolutionOptions& options) = 0;
  virtual MadeOperation MakeLinear(Tensor& x, const LinearOptions& options) = 0;
  // `residual` may be null; its shape is x's.
  virtual MadeOperation MakeBatchNorm(Tensor& x, Tensor* residual,
                                      const BatchNormOptions& options) = 0;
  virtual MadeOperation MakePool(Tensor& x, const PoolOptions& options) = 0;
  virtual MadeOperation MakeShortcut(Tensor& x, const ShortcutOptions& options) = 0;
};

}  // namespace grapevine::backend
