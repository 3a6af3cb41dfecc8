#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "operator/graph/graph.h"

namespace grapevine::graph {

using Matrix = std::vector<std::vector<double>>;

// All eigenvalues of a symmetric matrix by Jacobi rotations, O(n^3) a sweep, unsorted.
inline std::vector<double> Eigenvalues(Matrix m) {
  const size_t n = m.size();
  for (int sweep = 0; sweep < 60; ++sweep) {
    double off = 0;
    for (size_t p = 0; p < n; ++p) {
      for (size_t q = p + 1; q < n; ++q) {
        off += m[p][q] * m[p][q];
        if (std::abs(m[p][q]) < 1e-300) continue;
        const double theta = (m[q][q] - m[p][p]) / (2 * m[p][q]);
        const double t = (theta >= 0 ? 1 : -1) / (std::abs(theta) + std::hypot(theta, 1.0));
        const double c = 1 / std::hypot(t, 1.0);
        const double s = t * c;
        for (size_t k = 0; k < n; ++k) {
          const double a = m[k][p];
          const double b = m[k][q];
          m[k][p] = c * a - s * b;
          m[k][q] = s * a + c * b;
        }
        for (size_t k = 0; k < n; ++k) {
          const double a = m[p][k];
          const double b = m[q][k];
          m[p][k] = c * a - s * b;
          m[q][k] = s * a + c * b;
        }
      }
    }
    if (off < 1e-26) break;
  }
  std::vector<double> values;
  for (size_t i = 0; i < n; ++i) values.push_back(m[i][i]);
  return values;
}

// E[W^T W], exchange by exchange: each active member begins one with probability 1/|active| and
// picks each neighbour equally likely. W is multiplied out, nothing is assumed about it.
inline Matrix ExpectedProduct(const Graph& graph) {
  const size_t n = graph.size();
  Matrix expected(n, std::vector<double>(n, 0));
  const auto active = static_cast<double>(graph.CountOf(Side::kActive));
  for (size_t i = 0; i < n; ++i) {
    if (graph.members()[i].side != Side::kActive) continue;
    for (MemberId id : graph.NeighboursAt(i)) {
      const size_t j = graph.Find(id) - graph.members().data();
      const double p = 1 / active / static_cast<double>(graph.NeighboursAt(i).size());
      Matrix w(n, std::vector<double>(n, 0));
      for (size_t k = 0; k < n; ++k) w[k][k] = 1;
      w[i][i] = w[i][j] = w[j][i] = w[j][j] = 0.5;
      for (size_t row : {i, j}) {  // other rows of W^T W are those of the identity
        for (size_t column : {i, j}) {
          double sum = 0;
          for (size_t k : {i, j}) sum += w[k][row] * w[k][column];
          expected[row][column] += p * sum;
        }
      }
      for (size_t k = 0; k < n; ++k) {
        if (k != i && k != j) expected[k][k] += p;
      }
    }
  }
  return expected;
}

// The dumb twin of SpectralGap(): n (1 - rho) from the definition. REQUIRES: two members, an edge.
inline double DenseSpectralGap(const Graph& graph) {
  std::vector<double> values = Eigenvalues(ExpectedProduct(graph));
  std::sort(values.rbegin(), values.rend());
  return static_cast<double>(graph.size()) * (1 - values[1]);
}

}  // namespace grapevine::graph
