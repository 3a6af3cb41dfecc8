#include <algorithm>

#include "operator/base/check.h"
#include "worker/backend/reference/operations.h"

namespace grapevine::backend::reference {
namespace {

// Thread-compatible.
class Convolution final : public Operation {
 public:
  Convolution(PlainTensor& x, const Shape& y, const ConvolutionOptions& options)
      : x_(x),
        consumer_(x.AddConsumer()),
        y_(y, true),
        options_(options),
        weight_(static_cast<size_t>(y.c) * x.shape().c * options.kernel * options.kernel),
        weight_gradient_(weight_.size()),
        bias_(y.c),
        bias_gradient_(y.c) {}

  Tensor& output() override { return y_; }

  void Load(std::span<const std::span<const float>> parameters) override {
    GRAPEVINE_CHECK(parameters.size() == (options_.bias ? 2 : 1));
    weight_.assign(parameters[0].begin(), parameters[0].end());
    if (options_.bias) bias_.assign(parameters[1].begin(), parameters[1].end());
  }

  void ReadGradients(std::span<const std::span<float>> gradients) const override {
    GRAPEVINE_CHECK(gradients.size() == (options_.bias ? 2 : 1));
    std::copy(weight_gradient_.begin(), weight_gradient_.end(), gradients[0].begin());
    if (options_.bias) {
      std::copy(bias_gradient_.begin(), bias_gradient_.end(), gradients[1].begin());
    }
  }

  void Forward(Mode) override {
    const Shape& y = y_.shape();
    std::vector<double> sums(y.size());
    for (size_t i = 0; i < sums.size(); ++i) {
      sums[i] = bias_[i / (static_cast<size_t>(y.h) * y.w) % y.c];
    }
    ForEachProduct([&](size_t ix, size_t iw, size_t iy) {
      sums[iy] += static_cast<double>(x_.values()[ix]) * weight_[iw];
    });
    for (size_t i = 0; i < sums.size(); ++i) {
      const float value = static_cast<float>(sums[i]);
      y_.values()[i] = options_.relu ? std::max(0.0f, value) : value;
    }
  }

  void Backward() override {
    const std::vector<float> dy = GradientBeforeRelu(y_, options_.relu);
    std::vector<double> dx(x_.shape().size());
    std::vector<double> dw(weight_.size());
    ForEachProduct([&](size_t ix, size_t iw, size_t iy) {
      dx[ix] += static_cast<double>(dy[iy]) * weight_[iw];
      dw[iw] += static_cast<double>(dy[iy]) * x_.values()[ix];
    });
    std::copy(dw.begin(), dw.end(), weight_gradient_.begin());
    if (x_.has_gradient()) std::copy(dx.begin(), dx.end(), x_.consumer_gradient(consumer_).begin());

    const Shape& y = y_.shape();
    std::vector<double> db(y.c);
    for (size_t i = 0; i < dy.size(); ++i) db[i / (static_cast<size_t>(y.h) * y.w) % y.c] += dy[i];
    std::copy(db.begin(), db.end(), bias_gradient_.begin());
  }

 private:
  // Calls visit(index in x, index in weight, index in y) for each product that the sum consists of.
  template <typename Visit>
  void ForEachProduct(Visit visit) const {
    const Shape& x = x_.shape();
    const Shape& y = y_.shape();
    const int k = options_.kernel;
    for (int n = 0; n < y.n; ++n) {
      for (int o = 0; o < y.c; ++o) {
        for (int c = 0; c < x.c; ++c) {
          for (int h = 0; h < y.h; ++h) {
            for (int kh = 0; kh < k; ++kh) {
              const int xh = h * options_.stride + kh - options_.padding;
              if (xh < 0 || xh >= x.h) continue;
              for (int w = 0; w < y.w; ++w) {
                for (int kw = 0; kw < k; ++kw) {
                  const int xw = w * options_.stride + kw - options_.padding;
                  if (xw < 0 || xw >= x.w) continue;
                  visit(((static_cast<size_t>(n) * x.c + c) * x.h + xh) * x.w + xw,
                        ((static_cast<size_t>(o) * x.c + c) * k + kh) * k + kw,
                        ((static_cast<size_t>(n) * y.c + o) * y.h + h) * y.w + w);
                }
              }
            }
          }
        }
      }
    }
  }

  PlainTensor& x_;
  const int consumer_;
  PlainTensor y_;
  const ConvolutionOptions options_;
  std::vector<float> weight_;
  std::vector<float> weight_gradient_;
  std::vector<float> bias_;  // zero without one
  std::vector<float> bias_gradient_;
};

}  // namespace

std::unique_ptr<Operation> MakeConvolution(PlainTensor& x, const Shape& y,
                                           const ConvolutionOptions& options) {
  return std::make_unique<Convolution>(x, y, options);
}

}  // namespace grapevine::backend::reference
