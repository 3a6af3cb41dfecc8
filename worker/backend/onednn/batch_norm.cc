#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "operator/base/check.h"
#include "worker/backend/onednn/kernels.h"
#include "worker/backend/onednn/operations.h"

namespace grapevine::backend::onednn {
namespace {

// Own kernels: a third of ResNet-20's memory traffic passes through here, and only with the sum and
// max(0, ·) fused in both directions is each byte touched once per pass. Forward reads x twice, for
// the moments and for the result; Backward reads x and the gradient twice, for the sums and for the
// result.
//
// Thread-compatible.
class BatchNorm final : public Operation {
 public:
  BatchNorm(NhwcTensor& x, NhwcTensor* residual, const BatchNormOptions& options,
            GradientPool& pool)
      : pool_(pool),
        x_(x),
        consumer_(x.AddConsumer()),
        residual_(residual),
        residual_consumer_(residual ? residual->AddConsumer() : 0),
        y_(x.shape(), true, pool),
        options_(options),
        channels_(x.shape().c),
        tile_(TileSize(x.shape().c)) {
    for (auto* values : {&scale_, &shift_, &running_mean_, &running_variance_, &mean_, &variance_,
                         &scale_gradient_, &shift_gradient_}) {
      values->resize(channels_);
    }
    for (auto* values : {&centre_, &affine_.mean, &affine_.factor, &affine_.shift, &line_.slope,
                         &line_.offset, &sums_.g, &sums_.g_centred_x}) {
      values->resize(tile_);
    }
  }

  Tensor& output() override { return y_; }

  void Load(std::span<const std::span<const float>> parameters) noexcept override {
    GRAPEVINE_CHECK(parameters.size() == 4);
    const std::array targets = {&scale_, &shift_, &running_mean_, &running_variance_};
    for (size_t i = 0; i < targets.size(); ++i) {
      std::copy(parameters[i].begin(), parameters[i].end(), targets[i]->begin());
    }
    // Averaging with peers while both change it can leave a small variance below zero.
    for (float& variance : running_variance_) variance = std::max(variance, 0.0f);
  }

  void ReadGradients(std::span<const std::span<float>> gradients) const noexcept override {
    GRAPEVINE_CHECK(gradients.size() == 2);
    std::copy(scale_gradient_.begin(), scale_gradient_.end(), gradients[0].begin());
    std::copy(shift_gradient_.begin(), shift_gradient_.end(), gradients[1].begin());
  }

  void ReadStatistics(std::span<float> mean, std::span<float> variance) const noexcept override {
    std::copy(mean_.begin(), mean_.end(), mean.begin());
    std::copy(variance_.begin(), variance_.end(), variance.begin());
  }

  void Forward(Mode mode) noexcept override {
    if (mode == Mode::kTraining) Measure();
    const std::vector<float>& mean = mode == Mode::kTraining ? mean_ : running_mean_;
    const std::vector<float>& variance = mode == Mode::kTraining ? variance_ : running_variance_;
    for (size_t c = 0; c < channels_; ++c) {
      affine_.mean[c] = mean[c];
      affine_.factor[c] = scale_[c] / std::sqrt(variance[c] + options_.epsilon);
      affine_.shift[c] = shift_[c];
    }
    Repeat(affine_.mean);
    Repeat(affine_.factor);
    Repeat(affine_.shift);
    Normalise(x_.values(), residual_ ? residual_->values() : nullptr, x_.shape().size(), affine_,
              options_.relu, y_.values());
  }

  void Backward() noexcept override {
    std::array<Buffer, 2> gradients = y_.TakeGradients();
    Buffer& g = gradients[0];
    const size_t size = x_.shape().size();
    std::fill(sums_.g.begin(), sums_.g.end(), 0.0f);
    std::fill(sums_.g_centred_x.begin(), sums_.g_centred_x.end(), 0.0f);

    // Without a residual nobody needs the masked gradient, and the mask can be had from x again.
    const bool combine = residual_ != nullptr || !gradients[1].empty();
    const bool relu_from_x = options_.relu && !combine;
    if (combine) {
      CombineAndSumGradients({.g = g.get(),
                              .second = gradients[1].get(),
                              .y = options_.relu ? y_.values() : nullptr,
                              .x = x_.values(),
                              .size = size},
                             affine_, sums_);
    } else {
      SumGradients(g.get(), x_.values(), size, affine_, relu_from_x, sums_);
    }
    Differentiate();

    Buffer dx;
    if (residual_ == nullptr) {
      dx = std::move(g);  // in place
    } else {
      dx = !gradients[1].empty() ? std::move(gradients[1]) : pool_.Take(size);
    }
    const float* from = residual_ == nullptr ? dx.get() : g.get();
    if (x_.has_gradient()) {
      InputGradient({.g = from, .x = x_.values(), .dx = dx.get(), .size = size}, affine_,
                    relu_from_x, line_);
      x_.GiveGradient(consumer_, std::move(dx));
    } else {
      pool_.Give(std::move(dx));
    }
    if (residual_ != nullptr && residual_->has_gradient()) {
      residual_->GiveGradient(residual_consumer_, std::move(g));
    } else {
      pool_.Give(std::move(g));
    }
    pool_.Give(std::move(gradients[1]));
  }

 private:
  // Continues the first channels_ values through the tile.
  void Repeat(std::vector<float>& tile) const {
    for (size_t i = channels_; i < tile_; ++i) tile[i] = tile[i - channels_];
  }

  double Fold(const std::vector<float>& tile, size_t channel) const {
    double sum = 0;
    for (size_t i = channel; i < tile_; i += channels_) sum += tile[i];
    return sum;
  }

  double Count() const { return static_cast<double>(x_.shape().size() / channels_); }

  // Mean and variance of the batch, in one pass: with one of the values subtracted first, the sum
  // of squares does not drown in the square of the mean.
  void Measure() {
    std::copy_n(x_.values(), channels_, centre_.begin());
    Repeat(centre_);
    // Scratch here: the gradients' own sums start afresh in Backward.
    std::vector<float>& sum = sums_.g;
    std::vector<float>& squares = sums_.g_centred_x;
    std::fill(sum.begin(), sum.end(), 0.0f);
    std::fill(squares.begin(), squares.end(), 0.0f);
    Moments(x_.values(), x_.shape().size(), centre_, sum, squares);
    for (size_t c = 0; c < channels_; ++c) {
      const double offset = Fold(sum, c) / Count();
      mean_[c] = static_cast<float>(centre_[c] + offset);
      variance_[c] =
          static_cast<float>(std::max(0.0, Fold(squares, c) / Count() - offset * offset));
    }
  }

  // Gradients of scale and shift from the sums, and the line of dx = g · factor + (x − mean) ·
  // slope + offset: factor · (g − mean(g) − x̂ · mean(g · x̂)) with x̂ = (x − mean) / deviation.
  void Differentiate() {
    for (size_t c = 0; c < channels_; ++c) {
      const double inverse = 1 / std::sqrt(static_cast<double>(variance_[c]) + options_.epsilon);
      const double sum = Fold(sums_.g, c);
      const double sum_normalised = Fold(sums_.g_centred_x, c) * inverse;
      const double factor = affine_.factor[c];
      shift_gradient_[c] = static_cast<float>(sum);
      scale_gradient_[c] = static_cast<float>(sum_normalised);
      line_.slope[c] = static_cast<float>(-factor * inverse * sum_normalised / Count());
      line_.offset[c] = static_cast<float>(-factor * sum / Count());
    }
    Repeat(line_.slope);
    Repeat(line_.offset);
  }

  GradientPool& pool_;
  NhwcTensor& x_;
  const int consumer_;
  NhwcTensor* const residual_;
  const int residual_consumer_;
  NhwcTensor y_;
  const BatchNormOptions options_;
  const size_t channels_;
  const size_t tile_;
  std::vector<float> scale_, shift_, running_mean_, running_variance_;
  std::vector<float> mean_, variance_;  // of the batch
  std::vector<float> scale_gradient_, shift_gradient_;
  // Tiles.
  std::vector<float> centre_;
  Affine affine_;  // of the last Forward
  Line line_;
  GradientSums sums_;
};

}  // namespace

std::unique_ptr<Operation> MakeBatchNorm(NhwcTensor& x, NhwcTensor* residual,
                                         const BatchNormOptions& options, GradientPool& pool) {
  return std::make_unique<BatchNorm>(x, residual, options, pool);
}

}  // namespace grapevine::backend::onednn
