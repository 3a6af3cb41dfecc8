#include <algorithm>

#include "operator/base/check.h"
#include "worker/backend/reference/operations.h"

namespace grapevine::backend::reference {
namespace {

// Thread-compatible.
class Linear final : public Operation {
 public:
  Linear(PlainTensor& x, const Shape& y, const LinearOptions& options)
      : x_(x),
        consumer_(x.AddConsumer()),
        y_(y, true),
        options_(options),
        inputs_(x.shape().size() / x.shape().n),
        weight_(inputs_ * y.c),
        weight_gradient_(weight_.size()),
        bias_(y.c),
        bias_gradient_(y.c) {}

  Tensor& output() override { return y_; }

  void Load(std::span<const std::span<const float>> parameters) override {
    GRAPEVINE_CHECK(parameters.size() == 2);
    weight_.assign(parameters[0].begin(), parameters[0].end());
    bias_.assign(parameters[1].begin(), parameters[1].end());
  }

  void ReadGradients(std::span<const std::span<float>> gradients) const override {
    GRAPEVINE_CHECK(gradients.size() == 2);
    std::copy(weight_gradient_.begin(), weight_gradient_.end(), gradients[0].begin());
    std::copy(bias_gradient_.begin(), bias_gradient_.end(), gradients[1].begin());
  }

  void Forward(Mode) override {
    const Shape& y = y_.shape();
    for (int n = 0; n < y.n; ++n) {
      for (int o = 0; o < y.c; ++o) {
        double sum = bias_[o];
        for (size_t i = 0; i < inputs_; ++i) {
          sum += static_cast<double>(weight_[o * inputs_ + i]) * x_.values()[n * inputs_ + i];
        }
        const float value = static_cast<float>(sum);
        y_.values()[n * y.c + o] = options_.relu ? std::max(0.0f, value) : value;
      }
    }
  }

  void Backward() override {
    const std::vector<float> dy = GradientBeforeRelu(y_, options_.relu);
    const Shape& y = y_.shape();
    for (int o = 0; o < y.c; ++o) {
      double db = 0;
      for (int n = 0; n < y.n; ++n) db += dy[n * y.c + o];
      bias_gradient_[o] = static_cast<float>(db);
      for (size_t i = 0; i < inputs_; ++i) {
        double dw = 0;
        for (int n = 0; n < y.n; ++n) {
          dw += static_cast<double>(dy[n * y.c + o]) * x_.values()[n * inputs_ + i];
        }
        weight_gradient_[o * inputs_ + i] = static_cast<float>(dw);
      }
    }
    if (!x_.has_gradient()) return;
    const std::span<float> dx = x_.consumer_gradient(consumer_);
    for (int n = 0; n < y.n; ++n) {
      for (size_t i = 0; i < inputs_; ++i) {
        double sum = 0;
        for (int o = 0; o < y.c; ++o) {
          sum += static_cast<double>(dy[n * y.c + o]) * weight_[o * inputs_ + i];
        }
        dx[n * inputs_ + i] = static_cast<float>(sum);
      }
    }
  }

 private:
  PlainTensor& x_;
  const int consumer_;
  PlainTensor y_;
  const LinearOptions options_;
  const size_t inputs_;
  std::vector<float> weight_;
  std::vector<float> weight_gradient_;
  std::vector<float> bias_;
  std::vector<float> bias_gradient_;
};

}  // namespace

std::unique_ptr<Operation> MakeLinear(PlainTensor& x, const Shape& y,
                                      const LinearOptions& options) {
  return std::make_unique<Linear>(x, y, options);
}

}  // namespace grapevine::backend::reference
