#include "operator/graph/mixing.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "operator/graph/invariants.h"

namespace grapevine::graph {
namespace {

using Vector = std::vector<double>;

double Dot(const Vector& a, const Vector& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

void Subtract(Vector& from, double factor, const Vector& what) {
  for (size_t i = 0; i < from.size(); ++i) from[i] -= factor * what[i];
}

void Scale(Vector& vector, double factor) {
  for (double& element : vector) element *= factor;
}

// n/2 sum p_ij L_ij as an operator; positions instead of ids, active members only.
class Laplacian {
 public:
  explicit Laplacian(const Graph& graph) : size_(graph.size()) {
    for (size_t i = 0; i < graph.size(); ++i) {
      if (graph.members()[i].side != Side::kActive) continue;
      active_.push_back(i);
      for (MemberId id : graph.NeighboursAt(i)) {
        passive_.push_back(graph.Find(id) - graph.members().data());
      }
      row_end_.push_back(passive_.size());
    }
  }

  void Apply(const Vector& x, Vector& y) const {
    y.assign(size_, 0.0);
    const double per_active =
        0.5 * static_cast<double>(size_) / static_cast<double>(active_.size());
    size_t edge = 0;
    for (size_t row = 0; row < active_.size(); ++row) {
      const double here = x[active_[row]];
      const double weight = per_active / static_cast<double>(row_end_[row] - edge);
      double flow = 0;
      for (; edge < row_end_[row]; ++edge) {
        const double difference = weight * (here - x[passive_[edge]]);
        flow += difference;
        y[passive_[edge]] -= difference;
      }
      y[active_[row]] = flow;
    }
  }

 private:
  const size_t size_;
  std::vector<uint32_t> active_;
  std::vector<size_t> row_end_;
  std::vector<uint32_t> passive_;
};

// The smallest eigenvalue of a symmetric tridiagonal matrix, by bisection on the signs of its
// pivots.
double SmallestEigenvalue(const Vector& diagonal, const Vector& beside) {
  double low = diagonal[0];
  double high = diagonal[0];
  for (size_t i = 0; i < diagonal.size(); ++i) {
    const double left = i > 0 ? std::abs(beside[i - 1]) : 0;
    const double right = i + 1 < diagonal.size() ? std::abs(beside[i]) : 0;
    low = std::min(low, diagonal[i] - left - right);
    high = std::min(high, diagonal[i]);  // Rayleigh: the smallest is not above any of them
  }
  for (int step = 0; step < 60 && high - low > 1e-14; ++step) {
    const double middle = 0.5 * (low + high);
    bool positive = true;
    double pivot = 1;
    for (size_t i = 0; i < diagonal.size() && positive; ++i) {
      const double carried = i > 0 ? beside[i - 1] * beside[i - 1] / pivot : 0;
      pivot = diagonal[i] - middle - carried;
      positive = pivot > 0;
    }
    (positive ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

}  // namespace

double SpectralGap(const Graph& graph) {
  const size_t n = graph.size();
  if (n <= 1) return 1;
  if (CountComponents(graph) > 1) return 0;
  constexpr int kCheckEvery = 10;
  constexpr double kTolerance = 1e-8;  // of the change over kCheckEvery steps
  constexpr double kExhausted = 1e-10;
  const Laplacian laplacian(graph);
  std::vector<Vector> basis = {Vector(n, 1 / std::sqrt(static_cast<double>(n)))};
  Vector next(n);
  std::mt19937_64 rng(n);  // any start has a part along the wanted vector, this one always the same
  for (double& element : next) element = std::uniform_real_distribution<double>(-1, 1)(rng);
  Vector diagonal;
  Vector beside;
  double before = std::numeric_limits<double>::infinity();
  while (basis.size() < n) {
    for (int pass = 0; pass < 2; ++pass) {
      for (const Vector& vector : basis) Subtract(next, Dot(next, vector), vector);
    }
    const double norm = std::sqrt(Dot(next, next));
    if (norm < kExhausted) break;
    if (!diagonal.empty()) beside.push_back(norm);
    Scale(next, 1 / norm);
    basis.push_back(next);
    laplacian.Apply(basis.back(), next);
    diagonal.push_back(Dot(next, basis.back()));
    if (diagonal.size() % kCheckEvery != 0) continue;
    const double smallest = SmallestEigenvalue(diagonal, beside);
    if (std::abs(before - smallest) <= kTolerance * smallest) return smallest;
    before = smallest;
  }
  return SmallestEigenvalue(diagonal, beside);
}

}  // namespace grapevine::graph
