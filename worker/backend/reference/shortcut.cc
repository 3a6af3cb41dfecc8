#include <algorithm>

#include "worker/backend/reference/operations.h"

namespace grapevine::backend::reference {
namespace {

// Thread-compatible.
class Shortcut final : public Operation {
 public:
  Shortcut(PlainTensor& x, const Shape& y, const ShortcutOptions& options)
      : x_(x),
        consumer_(x.AddConsumer()),
        y_(y, true),
        stride_(options.stride),
        first_((y.c - x.shape().c) / 2) {}

  Tensor& output() override { return y_; }

  void Forward(Mode) override {
    std::fill_n(y_.values(), y_.shape().size(), 0.0f);
    ForEach([&](size_t ix, size_t iy) { y_.values()[iy] = x_.values()[ix]; });
  }

  void Backward() override {
    if (!x_.has_gradient()) return;
    const std::vector<float> dy = y_.Gradient();
    const std::span<float> dx = x_.consumer_gradient(consumer_);
    std::fill(dx.begin(), dx.end(), 0.0f);
    ForEach([&](size_t ix, size_t iy) { dx[ix] = dy[iy]; });
  }

 private:
  template <typename Visit>
  void ForEach(Visit visit) const {
    const Shape& x = x_.shape();
    const Shape& y = y_.shape();
    for (int n = 0; n < x.n; ++n) {
      for (int c = 0; c < x.c; ++c) {
        for (int h = 0; h < y.h; ++h) {
          for (int w = 0; w < y.w; ++w) {
            visit(((static_cast<size_t>(n) * x.c + c) * x.h + h * stride_) * x.w + w * stride_,
                  ((static_cast<size_t>(n) * y.c + first_ + c) * y.h + h) * y.w + w);
          }
        }
      }
    }
  }

  PlainTensor& x_;
  const int consumer_;
  PlainTensor y_;
  const int stride_;
  const int first_;  // y's channel of x's first one
};

}  // namespace

std::unique_ptr<Operation> MakeShortcut(PlainTensor& x, const Shape& y,
                                        const ShortcutOptions& options) {
  return std::make_unique<Shortcut>(x, y, options);
}

}  // namespace grapevine::backend::reference
