#include <algorithm>
#include <utility>

#include "worker/backend/onednn/operations.h"

namespace grapevine::backend::onednn {
namespace {

// Thread-compatible.
class Shortcut final : public Operation {
 public:
  Shortcut(NhwcTensor& x, const Shape& y, const ShortcutOptions& options, GradientPool& pool)
      : pool_(pool),
        x_(x),
        consumer_(x.AddConsumer()),
        y_(y, true, pool),
        stride_(options.stride),
        first_((y.c - x.shape().c) / 2) {}

  Tensor& output() override { return y_; }

  // The channels that are missing were zeroed with the tensor and never written.
  void Forward(Mode) noexcept override {
    ForEachPixel([&](size_t ix, size_t iy) {
      std::copy_n(x_.values() + ix, x_.shape().c, y_.values() + iy);
    });
  }

  void Backward() noexcept override {
    Buffer dy = TakeGradientBeforeRelu(y_, false, pool_);
    if (x_.has_gradient()) {
      Buffer dx = pool_.Take(x_.shape().size());
      std::fill_n(dx.get(), x_.shape().size(), 0.0f);
      ForEachPixel(
          [&](size_t ix, size_t iy) { std::copy_n(dy.get() + iy, x_.shape().c, dx.get() + ix); });
      x_.GiveGradient(consumer_, std::move(dx));
    }
    pool_.Give(std::move(dy));
  }

 private:
  // Calls visit(element of x, element of y) for the first of the channels that both have.
  template <typename Visit>
  void ForEachPixel(Visit visit) const {
    const Shape& x = x_.shape();
    const Shape& y = y_.shape();
    for (int n = 0; n < y.n; ++n) {
      for (int h = 0; h < y.h; ++h) {
        for (int w = 0; w < y.w; ++w) {
          visit(((static_cast<size_t>(n) * x.h + h * stride_) * x.w + w * stride_) * x.c,
                ((static_cast<size_t>(n) * y.h + h) * y.w + w) * y.c + first_);
        }
      }
    }
  }

  GradientPool& pool_;
  NhwcTensor& x_;
  const int consumer_;
  NhwcTensor y_;
  const int stride_;
  const int first_;  // y's channel of x's first one
};

}  // namespace

std::unique_ptr<Operation> MakeShortcut(NhwcTensor& x, const Shape& y,
                                        const ShortcutOptions& options, GradientPool& pool) {
  return std::make_unique<Shortcut>(x, y, options, pool);
}

}  // namespace grapevine::backend::onednn
