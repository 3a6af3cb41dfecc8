#include "worker/backend/onednn/kernels.h"

#include <algorithm>
#include <cstring>

namespace grapevine::backend::onednn {
namespace {

// Runs `body`, whose operator() must be always_inline, compiled for what the processor has.
#if defined(__x86_64__)
template <typename Body>
__attribute__((target("avx2,fma"), noinline)) void RunAvx2(const Body body) {
  body();
}

bool HasAvx2() {
  static const bool has = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return has;
}
#endif

template <typename Body>
void Run(const Body& body) {
#if defined(__x86_64__)
  if (HasAvx2()) return RunAvx2(body);
#endif
  body();
}

// Calls visit(first element, elements) for each tile.
template <typename Visit>
inline __attribute__((always_inline)) void ForEachTile(size_t size, size_t tile, Visit visit) {
  for (size_t begin = 0; begin < size; begin += tile) {
    visit(begin, size - begin < tile ? size - begin : tile);
  }
}

#define GRAPEVINE_INLINE __attribute__((always_inline))

template <bool kSecond, bool kMask>
void Combine(float* g, const float* second, const float* y, size_t size) {
  Run([=]() GRAPEVINE_INLINE {
#pragma omp simd
    for (size_t i = 0; i < size; ++i) {
      const float sum = kSecond ? g[i] + second[i] : g[i];
      g[i] = !kMask || y[i] > 0 ? sum : 0.0f;
    }
  });
}

// Affine as the loops want it.
struct AffineTiles {
  explicit AffineTiles(const Affine& affine)
      : mean(affine.mean.data()),
        factor(affine.factor.data()),
        shift(affine.shift.data()),
        tile(affine.mean.size()) {}

  float At(float x, size_t i) const GRAPEVINE_INLINE {
    return (x - mean[i]) * factor[i] + shift[i];
  }

  const float* mean;
  const float* factor;
  const float* shift;
  size_t tile;
};

template <bool kResidual, bool kRelu>
void NormaliseTiles(const float* x, const float* residual, size_t size, AffineTiles z, float* y) {
  Run([=]() GRAPEVINE_INLINE {
    ForEachTile(size, z.tile, [=](size_t begin, size_t count) GRAPEVINE_INLINE {
      const float* xs = x + begin;
      const float* residuals = kResidual ? residual + begin : nullptr;
      float* ys = y + begin;
#pragma omp simd
      for (size_t i = 0; i < count; ++i) {
        float value = z.At(xs[i], i);
        if (kResidual) value += residuals[i];
        ys[i] = kRelu && !(value > 0) ? 0.0f : value;
      }
    });
  });
}

template <bool kRelu>
void SumTiles(const float* g, const float* x, size_t size, AffineTiles z, float* sum,
              float* sum_x) {
  Run([=]() GRAPEVINE_INLINE {
    ForEachTile(size, z.tile, [=](size_t begin, size_t count) GRAPEVINE_INLINE {
      const float* gs = g + begin;
      const float* xs = x + begin;
#pragma omp simd
      for (size_t i = 0; i < count; ++i) {
        const float masked = !kRelu || z.At(xs[i], i) > 0 ? gs[i] : 0.0f;
        sum[i] += masked;
        sum_x[i] += masked * (xs[i] - z.mean[i]);
      }
    });
  });
}

template <bool kSecond, bool kMask>
void CombineAndSumTiles(CombineOperands of, AffineTiles z, float* sum, float* sum_x) {
  Run([=]() GRAPEVINE_INLINE {
    ForEachTile(of.size, z.tile, [=](size_t begin, size_t count) GRAPEVINE_INLINE {
      float* gs = of.g + begin;
      const float* seconds = kSecond ? of.second + begin : nullptr;
      const float* ys = kMask ? of.y + begin : nullptr;
      const float* xs = of.x + begin;
#pragma omp simd
      for (size_t i = 0; i < count; ++i) {
        const float both = kSecond ? gs[i] + seconds[i] : gs[i];
        const float masked = !kMask || ys[i] > 0 ? both : 0.0f;
        gs[i] = masked;
        sum[i] += masked;
        sum_x[i] += masked * (xs[i] - z.mean[i]);
      }
    });
  });
}

template <bool kRelu>
void InputTiles(InputOperands of, AffineTiles z, const float* slope, const float* offset) {
  Run([=]() GRAPEVINE_INLINE {
    ForEachTile(of.size, z.tile, [=](size_t begin, size_t count) GRAPEVINE_INLINE {
      const float* gs = of.g + begin;
      const float* xs = of.x + begin;
      float* ds = of.dx + begin;
#pragma omp simd
      for (size_t i = 0; i < count; ++i) {
        const float masked = !kRelu || z.At(xs[i], i) > 0 ? gs[i] : 0.0f;
        ds[i] = masked * z.factor[i] + ((xs[i] - z.mean[i]) * slope[i] + offset[i]);
      }
    });
  });
}

}  // namespace

void PlainToNhwc(const float* plain, const Shape& shape, float* nhwc) {
  const size_t pixels = static_cast<size_t>(shape.h) * shape.w;
  if (shape.c == 1 || pixels == 1) {
    std::memcpy(nhwc, plain, shape.size() * sizeof(float));
    return;
  }
  for (int n = 0; n < shape.n; ++n, plain += pixels * shape.c, nhwc += pixels * shape.c) {
    for (int c = 0; c < shape.c; ++c) {
      for (size_t i = 0; i < pixels; ++i) nhwc[i * shape.c + c] = plain[c * pixels + i];
    }
  }
}

void NhwcToPlain(const float* nhwc, const Shape& shape, float* plain) {
  const size_t pixels = static_cast<size_t>(shape.h) * shape.w;
  if (shape.c == 1 || pixels == 1) {
    std::memcpy(plain, nhwc, shape.size() * sizeof(float));
    return;
  }
  for (int n = 0; n < shape.n; ++n, plain += pixels * shape.c, nhwc += pixels * shape.c) {
    for (int c = 0; c < shape.c; ++c) {
      for (size_t i = 0; i < pixels; ++i) plain[c * pixels + i] = nhwc[i * shape.c + c];
    }
  }
}

void CombineGradients(float* g, const float* second, const float* y, size_t size) {
  const auto combine = second != nullptr
                           ? (y != nullptr ? Combine<true, true> : Combine<true, false>)
                           : Combine<false, true>;
  combine(g, second, y, size);
}

size_t TileSize(int channels) {
  constexpr size_t kLeast = 256;
  const size_t c = static_cast<size_t>(channels);
  return (kLeast + c - 1) / c * c;
}

void Moments(const float* x, size_t size, const std::vector<float>& centre, std::vector<float>& sum,
             std::vector<float>& squares) {
  Run([x, size, tile = centre.size(), centres = centre.data(), sums = sum.data(),
       square_sums = squares.data()]() GRAPEVINE_INLINE {
    ForEachTile(size, tile, [=](size_t begin, size_t count) GRAPEVINE_INLINE {
      const float* xs = x + begin;
#pragma omp simd
      for (size_t i = 0; i < count; ++i) {
        const float centred = xs[i] - centres[i];
        sums[i] += centred;
        square_sums[i] += centred * centred;
      }
    });
  });
}

void Normalise(const float* x, const float* residual, size_t size, const Affine& affine, bool relu,
               float* y) {
  const auto run = residual != nullptr
                       ? (relu ? NormaliseTiles<true, true> : NormaliseTiles<true, false>)
                       : (relu ? NormaliseTiles<false, true> : NormaliseTiles<false, false>);
  run(x, residual, size, AffineTiles(affine), y);
}

void SumGradients(const float* g, const float* x, size_t size, const Affine& affine, bool relu,
                  GradientSums& sums) {
  const auto run = relu ? SumTiles<true> : SumTiles<false>;
  run(g, x, size, AffineTiles(affine), sums.g.data(), sums.g_centred_x.data());
}

void CombineAndSumGradients(const CombineOperands& operands, const Affine& affine,
                            GradientSums& sums) {
  const bool mask = operands.y != nullptr;
  const auto run =
      operands.second != nullptr
          ? (mask ? CombineAndSumTiles<true, true> : CombineAndSumTiles<true, false>)
          : (mask ? CombineAndSumTiles<false, true> : CombineAndSumTiles<false, false>);
  run(operands, AffineTiles(affine), sums.g.data(), sums.g_centred_x.data());
}

void InputGradient(const InputOperands& operands, const Affine& affine, bool relu,
                   const Line& line) {
  const auto run = relu ? InputTiles<true> : InputTiles<false>;
  run(operands, AffineTiles(affine), line.slope.data(), line.offset.data());
}

}  // namespace grapevine::backend::onednn
