// Claims of "Asynchronous Decentralized Parallel Stochastic Gradient Descent" (Lian et al., ICML
// 2018) on pairwise averaging, and what follows from them for the graphs that the planner makes.

#include <cmath>
#include <numeric>
#include <random>

#include "gtest/gtest.h"
#include "operator/graph/mixing.h"
#include "operator/graph/planner.h"
#include "tests/operator/graph/dense_gap.h"

namespace grapevine::paper {
namespace {

using graph::DenseSpectralGap;
using graph::Eigenvalues;
using graph::ExpectedProduct;
using graph::Family;
using graph::Graph;
using graph::Matrix;
using graph::Side;

Graph Make(Family family, size_t n, size_t degree = 4) {
  std::vector<api::MemberId> ids(n);
  std::iota(ids.begin(), ids.end(), 1);
  graph::Rng rng(1);
  return graph::Plan(Graph(), ids, {family, degree}, rng).next;
}

const Graph kGraphs[] = {
    Make(Family::kComplete, 8),
    Make(Family::kComplete, 9),
    Make(Family::kRandomRegular, 20, 3),
    Make(Family::kRandomRegular, 17, 4),
    Make(Family::kRing, 12),
    Make(Family::kExponential, 20),
};

// W = I - 1/2 (e_i - e_j)(e_i - e_j)^T
Matrix Averaging(size_t n, size_t i, size_t j) {
  Matrix w(n, std::vector<double>(n, 0));
  for (size_t k = 0; k < n; ++k) w[k][k] = 1;
  w[i][i] -= 0.5;
  w[j][j] -= 0.5;
  w[i][j] += 0.5;
  w[j][i] += 0.5;
  return w;
}

Matrix Times(const Matrix& a, const Matrix& b) {
  Matrix product(a.size(), std::vector<double>(a.size(), 0));
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t k = 0; k < a.size(); ++k) {
      for (size_t j = 0; j < a.size(); ++j) product[i][j] += a[i][k] * b[k][j];
    }
  }
  return product;
}

double VarianceSum(const std::vector<double>& x) {
  const double mean = std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(x.size());
  double sum = 0;
  for (double value : x) sum += (value - mean) * (value - mean);
  return sum;
}

// The exchanges of the members: a random active one with a random neighbour.
class Gossip {
 public:
  Gossip(const Graph& graph, uint64_t seed) : rng_(seed) {
    for (size_t i = 0; i < graph.size(); ++i) {
      if (graph.members()[i].side != Side::kActive) continue;
      active_.push_back(i);
      neighbours_.emplace_back();
      for (api::MemberId id : graph.NeighboursAt(i)) {
        neighbours_.back().push_back(graph.Find(id) - graph.members().data());
      }
    }
  }

  void Exchange(std::vector<double>& x) {
    const size_t a = graph::Below(rng_, active_.size());
    const size_t j = neighbours_[a][graph::Below(rng_, neighbours_[a].size())];
    x[active_[a]] = x[j] = 0.5 * (x[active_[a]] + x[j]);
  }

 private:
  graph::Rng rng_;
  std::vector<size_t> active_;
  std::vector<std::vector<size_t>> neighbours_;
};

// Algorithm 1, assumption 2: W_k is doubly stochastic. A pairwise average also is symmetric and a
// projection, so that W^T W = W.
TEST(AveragingTest, IsDoublyStochasticAndAProjection) {
  for (const auto& [i, j] : {std::pair<size_t, size_t>{0, 1}, {2, 4}, {3, 0}}) {
    const Matrix w = Averaging(5, i, j);
    for (size_t k = 0; k < 5; ++k) {
      double row = 0;
      double column = 0;
      for (size_t l = 0; l < 5; ++l) {
        EXPECT_GE(w[k][l], 0);
        EXPECT_EQ(w[k][l], w[l][k]);
        row += w[k][l];
        column += w[l][k];
      }
      EXPECT_EQ(row, 1);
      EXPECT_EQ(column, 1);
    }
    EXPECT_EQ(Times(w, w), w);
  }
}

// What makes the average of all models the quantity that the theorem is about.
TEST(AveragingTest, KeepsTheSum) {
  for (const Graph& graph : kGraphs) {
    std::vector<double> x(graph.size());
    std::iota(x.begin(), x.end(), 1.0);
    const double before = std::accumulate(x.begin(), x.end(), 0.0);
    Gossip gossip(graph, 1);
    for (int i = 0; i < 10'000; ++i) gossip.Exchange(x);
    EXPECT_NEAR(std::accumulate(x.begin(), x.end(), 0.0), before, 1e-9);
    EXPECT_LT(VarianceSum(x), 1e-9);
  }
}

// Assumption 3 is about E[W^T W]; for pairwise averages it is I - 1/2 sum p_e L_e.
TEST(AveragingTest, HasTheExpectedProductOfTheFormula) {
  for (const Graph& graph : kGraphs) {
    const size_t n = graph.size();
    Matrix formula(n, std::vector<double>(n, 0));
    for (size_t k = 0; k < n; ++k) formula[k][k] = 1;
    for (const graph::Edge& edge : graph.Edges()) {
      const size_t i = graph.Find(edge.active) - graph.members().data();
      const size_t j = graph.Find(edge.passive) - graph.members().data();
      const double p = 1.0 / static_cast<double>(graph.CountOf(Side::kActive)) /
                       static_cast<double>(graph.NeighboursAt(i).size());
      formula[i][i] -= p / 2;
      formula[j][j] -= p / 2;
      formula[i][j] += p / 2;
      formula[j][i] += p / 2;
    }
    const Matrix expected = ExpectedProduct(graph);
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) EXPECT_NEAR(expected[i][j], formula[i][j], 1e-12);
    }
  }
}

// Assumption 3 takes the larger of |lambda_2| and |lambda_n|. All eigenvalues are >= 0, so that the
// -1 of a bipartite adjacency matrix does no harm, and the spectral gap needs lambda_2 alone.
TEST(AveragingTest, HasNoNegativeEigenvalueOnBipartiteGraphs) {
  for (const Graph& graph : kGraphs) {
    for (double value : Eigenvalues(ExpectedProduct(graph))) {
      EXPECT_GE(value, -1e-9);
      EXPECT_LE(value, 1 + 1e-9);
    }
  }
}

// d-regular, uniform edges: gap = 1 - lambda_2(A)/d.
TEST(SpectralGapClaimTest, OfRegularGraphsComesFromTheAdjacencyMatrix) {
  const size_t degree = 4;
  const Graph graph = Make(Family::kRandomRegular, 24, degree);
  Matrix adjacency(24, std::vector<double>(24, 0));
  for (const graph::Edge& edge : graph.Edges()) {
    adjacency[edge.active - 1][edge.passive - 1] = 1;
    adjacency[edge.passive - 1][edge.active - 1] = 1;
  }
  std::vector<double> values = Eigenvalues(adjacency);
  std::sort(values.rbegin(), values.rend());
  EXPECT_NEAR(values[0], degree, 1e-9);
  EXPECT_NEAR(values[23], -static_cast<double>(degree), 1e-9) << "bipartite";
  EXPECT_NEAR(graph::SpectralGap(graph), 1 - values[1] / degree, 1e-6);
}

// Being bipartite costs a factor of n/(n-1) only: all pairs have gap n/(n-1), the complete
// bipartite graph 1.
TEST(SpectralGapClaimTest, OfAllPairsIsHardlyLarger) {
  const size_t n = 10;
  Matrix expected(n, std::vector<double>(n, 0));
  const double p = 2.0 / static_cast<double>(n * (n - 1));
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = i + 1; j < n; ++j) {
      const Matrix w = Averaging(n, i, j);
      for (size_t k = 0; k < n; ++k) {
        for (size_t l = 0; l < n; ++l) expected[k][l] += p * w[k][l];
      }
    }
  }
  std::vector<double> values = Eigenvalues(expected);
  std::sort(values.rbegin(), values.rend());
  EXPECT_NEAR(static_cast<double>(n) * (1 - values[1]), 10.0 / 9, 1e-9);
  EXPECT_NEAR(DenseSpectralGap(Make(Family::kComplete, n)), 1, 1e-9);
}

// E|W x - mean|^2 = (x - mean)^T E[W^T W] (x - mean) <= rho |x - mean|^2, exchange after exchange;
// n/2 exchanges shrink the disagreement by exp(-gap/2) or better.
TEST(ConsensusTest, ContractsAtLeastAsTheSpectralGapPredicts) {
  for (const Graph& graph : kGraphs) {
    const auto n = static_cast<double>(graph.size());
    const double rho = 1 - graph::SpectralGap(graph) / n;
    const int exchanges = 3 * static_cast<int>(graph.size());
    double before = 0;
    double after = 0;
    Gossip gossip(graph, 2);
    std::mt19937_64 rng(3);
    for (int run = 0; run < 4000; ++run) {
      std::vector<double> x(graph.size());
      for (double& value : x) value = std::normal_distribution<double>()(rng);
      before += VarianceSum(x);
      for (int i = 0; i < exchanges; ++i) gossip.Exchange(x);
      after += VarianceSum(x);
    }
    EXPECT_LE(after / before, 1.05 * std::pow(rho, exchanges)) << graph.Describe();
    EXPECT_LE(std::pow(rho, n / 2), std::exp(-graph::SpectralGap(graph) / 2));
  }
}

// The prediction is not merely a bound: disagreement along the slowest direction shrinks by rho an
// exchange. On the ring that is a wave around it, cos(2 pi i / n).
TEST(ConsensusTest, ContractsAsPredictedAlongTheSlowestDirection) {
  const size_t n = 12;
  const Graph ring = Make(Family::kRing, n);
  std::vector<double> wave(n);
  for (size_t i = 0; i < n; ++i) {
    wave[i] = std::cos(2 * std::acos(-1.0) * static_cast<double>(i) / static_cast<double>(n));
  }
  Gossip gossip(ring, 5);
  double after = 0;
  const int runs = 200'000;
  for (int run = 0; run < runs; ++run) {
    std::vector<double> x = wave;
    gossip.Exchange(x);
    after += VarianceSum(x);
  }
  const double shrunk = 1 - after / runs / VarianceSum(wave);
  EXPECT_NEAR(shrunk * static_cast<double>(n), graph::SpectralGap(ring),
              0.02 * graph::SpectralGap(ring));
}

}  // namespace
}  // namespace grapevine::paper
