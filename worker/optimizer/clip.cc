#include "worker/optimizer/clip.h"

#include <array>
#include <cmath>
#include <cstddef>

namespace grapevine::optimizer {
namespace {

// Several sums, so that the loop need not wait for its own last addition; in double, which no
// square of a float overflows.
constexpr size_t kLanes = 8;

double SquaredNorm(std::span<const float> values) {
  std::array<double, kLanes> sums{};
  const size_t whole = values.size() / kLanes * kLanes;
  for (size_t i = 0; i < whole; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const double value = values[i + lane];
      sums[lane] += value * value;
    }
  }
  double sum = 0;
  for (const double one : sums) sum += one;
  for (const float value : values.subspan(whole)) sum += double{value} * double{value};
  return sum;
}

}  // namespace

double ClipToNorm(std::span<float> gradient, double max_norm) {
  const double norm = std::sqrt(SquaredNorm(gradient));
  if (norm > max_norm) {
    const auto scale = static_cast<float>(max_norm / norm);
    for (float& value : gradient) value *= scale;
  }
  return norm;
}

}  // namespace grapevine::optimizer
