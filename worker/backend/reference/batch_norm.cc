#include <algorithm>
#include <cmath>

#include "operator/base/check.h"
#include "worker/backend/reference/operations.h"

namespace grapevine::backend::reference {
namespace {

// Ioffe and Szegedy (2015), section 3. Thread-compatible.
class BatchNorm final : public Operation {
 public:
  BatchNorm(PlainTensor& x, PlainTensor* residual, const BatchNormOptions& options)
      : x_(x),
        consumer_(x.AddConsumer()),
        residual_(residual),
        residual_consumer_(residual ? residual->AddConsumer() : 0),
        y_(x.shape(), true),
        options_(options),
        spatial_(static_cast<size_t>(x.shape().h) * x.shape().w),
        channels_(x.shape().c) {}

  Tensor& output() override { return y_; }

  void Load(std::span<const std::span<const float>> parameters) override {
    GRAPEVINE_CHECK(parameters.size() == 4);
    for (size_t c = 0; c < channels_.size(); ++c) {
      channels_[c].scale = parameters[0][c];
      channels_[c].shift = parameters[1][c];
      channels_[c].running_mean = parameters[2][c];
      // Averaging with peers while both change it can leave a small variance below zero.
      channels_[c].running_variance = std::max(parameters[3][c], 0.0f);
    }
  }

  void ReadGradients(std::span<const std::span<float>> gradients) const override {
    GRAPEVINE_CHECK(gradients.size() == 2);
    for (size_t c = 0; c < channels_.size(); ++c) {
      gradients[0][c] = static_cast<float>(channels_[c].scale_gradient);
      gradients[1][c] = static_cast<float>(channels_[c].shift_gradient);
    }
  }

  void ReadStatistics(std::span<float> mean, std::span<float> variance) const override {
    for (size_t c = 0; c < channels_.size(); ++c) {
      mean[c] = static_cast<float>(channels_[c].mean);
      variance[c] = static_cast<float>(channels_[c].variance);
    }
  }

  void Forward(Mode mode) override {
    for (size_t c = 0; c < channels_.size(); ++c) {
      Channel& channel = channels_[c];
      if (mode == Mode::kTraining) {
        Measure(c);
      } else {
        channel.mean = channel.running_mean;
        channel.variance = channel.running_variance;
      }
      const double inverse = 1 / std::sqrt(channel.variance + options_.epsilon);
      ForEach(c, [&](size_t i) {
        double value = (x_.values()[i] - channel.mean) * inverse * channel.scale + channel.shift;
        if (residual_ != nullptr) value += residual_->values()[i];
        y_.values()[i] = static_cast<float>(options_.relu ? std::max(0.0, value) : value);
      });
    }
  }

  void Backward() override {
    const std::vector<float> dy = GradientBeforeRelu(y_, options_.relu);
    for (size_t c = 0; c < channels_.size(); ++c) {
      Channel& channel = channels_[c];
      const double inverse = 1 / std::sqrt(channel.variance + options_.epsilon);
      channel.scale_gradient = channel.shift_gradient = 0;
      ForEach(c, [&](size_t i) {
        channel.shift_gradient += dy[i];
        channel.scale_gradient += dy[i] * (x_.values()[i] - channel.mean) * inverse;
      });
      if (!x_.has_gradient()) continue;
      const double count = static_cast<double>(spatial_ * x_.shape().n);
      const std::span<float> dx = x_.consumer_gradient(consumer_);
      ForEach(c, [&](size_t i) {
        const double normalised = (x_.values()[i] - channel.mean) * inverse;
        dx[i] = static_cast<float>(
            channel.scale * inverse *
            (dy[i] - channel.shift_gradient / count - normalised * channel.scale_gradient / count));
      });
    }
    if (residual_ != nullptr && residual_->has_gradient()) {
      std::copy(dy.begin(), dy.end(), residual_->consumer_gradient(residual_consumer_).begin());
    }
  }

 private:
  struct Channel {
    double scale = 1, shift = 0;
    double running_mean = 0, running_variance = 1;
    double mean = 0, variance = 0;  // those used by the last Forward
    double scale_gradient = 0, shift_gradient = 0;
  };

  template <typename Visit>
  void ForEach(size_t c, Visit visit) const {
    for (int n = 0; n < x_.shape().n; ++n) {
      const size_t begin = (n * channels_.size() + c) * spatial_;
      for (size_t i = begin; i < begin + spatial_; ++i) visit(i);
    }
  }

  void Measure(size_t c) {
    const double count = static_cast<double>(spatial_ * x_.shape().n);
    double sum = 0;
    ForEach(c, [&](size_t i) { sum += x_.values()[i]; });
    const double mean = sum / count;
    double squares = 0;
    ForEach(c, [&](size_t i) { squares += (x_.values()[i] - mean) * (x_.values()[i] - mean); });
    channels_[c].mean = mean;
    channels_[c].variance = squares / count;
  }

  PlainTensor& x_;
  const int consumer_;
  PlainTensor* const residual_;
  const int residual_consumer_;
  PlainTensor y_;
  const BatchNormOptions options_;
  const size_t spatial_;
  std::vector<Channel> channels_;
};

}  // namespace

std::unique_ptr<Operation> MakeBatchNorm(PlainTensor& x, PlainTensor* residual,
                                         const BatchNormOptions& options) {
  return std::make_unique<BatchNorm>(x, residual, options);
}

}  // namespace grapevine::backend::reference
