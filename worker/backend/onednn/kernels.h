#pragma once

#include <cstddef>
#include <vector>

#include "worker/backend/backend.h"

// The loops that are bound by memory, written once and compiled for the baseline and for AVX2,
// chosen when the process starts.
//
// Per-channel numbers come as a tile: the channels over and over, so that the inner loops run over
// a few hundred consecutive elements whatever the number of channels. `size` is a multiple of the
// channels.
namespace grapevine::backend::onednn {

void PlainToNhwc(const float* plain, const Shape& shape, float* nhwc);
void NhwcToPlain(const float* nhwc, const Shape& shape, float* plain);

// g := (y > 0) · (g + second), element by element; `second` and y may be null: no sum, no mask.
void CombineGradients(float* g, const float* second, const float* y, size_t size);

// Elements in the tile of so many channels: at least 256, a multiple of the channels.
size_t TileSize(int channels);

// sum += x − centre and squares += (x − centre)², by position in the tile.
void Moments(const float* x, size_t size, const std::vector<float>& centre, std::vector<float>& sum,
             std::vector<float>& squares);

// z = (x − mean) · factor + shift, each a tile. Not x · factor + (shift − mean · factor): where the
// mean is large, the two terms of that cancel and take the digits with them.
struct Affine {
  std::vector<float> mean, factor, shift;
};

// y := z (+ residual, unless null), then max(0, ·) if `relu`.
void Normalise(const float* x, const float* residual, size_t size, const Affine& affine, bool relu,
               float* y);

struct GradientSums {
  std::vector<float> g;            // += g
  std::vector<float> g_centred_x;  // += g · (x − mean)
};

// The sums, with g as it is, or, if `relu`, zero where z is not above zero.
void SumGradients(const float* g, const float* x, size_t size, const Affine& affine, bool relu,
                  GradientSums& sums);

// CombineGradients and SumGradients in one pass, for what has a residual.
struct CombineOperands {
  float* g = nullptr;
  const float* second = nullptr;  // may be null
  const float* y = nullptr;       // may be null
  const float* x = nullptr;
  size_t size = 0;
};
void CombineAndSumGradients(const CombineOperands& operands, const Affine& affine,
                            GradientSums& sums);

// dx := g · factor + (x − mean) · slope + offset, with g as in SumGradients.
struct Line {
  std::vector<float> slope, offset;
};
struct InputOperands {
  const float* g = nullptr;
  const float* x = nullptr;
  float* dx = nullptr;  // may be g
  size_t size = 0;
};
void InputGradient(const InputOperands& operands, const Affine& affine, bool relu,
                   const Line& line);

}  // namespace grapevine::backend::onednn
