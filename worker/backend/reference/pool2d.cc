#include <algorithm>

#include "worker/backend/reference/operations.h"

namespace grapevine::backend::reference {
namespace {

// Thread-compatible.
class Pool final : public Operation {
 public:
  Pool(PlainTensor& x, const Shape& y, const PoolOptions& options)
      : x_(x),
        consumer_(x.AddConsumer()),
        y_(y, true),
        options_(options),
        rows_(options.kernel == 0 ? x.shape().h : options.kernel),
        columns_(options.kernel == 0 ? x.shape().w : options.kernel) {}

  Tensor& output() override { return y_; }

  void Forward(Mode) override {
    const bool max = options_.kind == PoolOptions::Kind::kMax;
    for (size_t i = 0; i < y_.shape().size(); ++i) {
      if (max) {
        y_.values()[i] = x_.values()[Largest(i)];
      } else {
        double sum = 0;
        ForWindow(i, [&](size_t ix) { sum += x_.values()[ix]; });
        y_.values()[i] = static_cast<float>(sum / (rows_ * columns_));
      }
    }
  }

  void Backward() override {
    if (!x_.has_gradient()) return;
    const std::vector<float> dy = y_.Gradient();
    const std::span<float> dx = x_.consumer_gradient(consumer_);
    std::fill(dx.begin(), dx.end(), 0.0f);
    for (size_t i = 0; i < dy.size(); ++i) {
      if (options_.kind == PoolOptions::Kind::kMax) {
        dx[Largest(i)] += dy[i];
      } else {
        const float share = dy[i] / static_cast<float>(rows_ * columns_);
        ForWindow(i, [&](size_t ix) { dx[ix] += share; });
      }
    }
  }

 private:
  // Calls visit(index in x) for the window of y's element `i`.
  template <typename Visit>
  void ForWindow(size_t i, Visit visit) const {
    const Shape& x = x_.shape();
    const Shape& y = y_.shape();
    const size_t plane = i / (static_cast<size_t>(y.h) * y.w);
    const size_t h = i / y.w % y.h * options_.stride;
    const size_t w = i % y.w * options_.stride;
    for (int kh = 0; kh < rows_; ++kh) {
      for (int kw = 0; kw < columns_; ++kw) {
        visit((plane * x.h + h + kh) * x.w + w + kw);
      }
    }
  }

  // The first one in plain order where several are equal.
  size_t Largest(size_t i) const {
    size_t best = x_.shape().size();
    ForWindow(i, [&](size_t ix) {
      if (best == x_.shape().size() || x_.values()[ix] > x_.values()[best]) best = ix;
    });
    return best;
  }

  PlainTensor& x_;
  const int consumer_;
  PlainTensor y_;
  const PoolOptions options_;
  const int rows_, columns_;  // of a window
};

}  // namespace

std::unique_ptr<Operation> MakePool(PlainTensor& x, const Shape& y, const PoolOptions& options) {
  return std::make_unique<Pool>(x, y, options);
}

}  // namespace grapevine::backend::reference
