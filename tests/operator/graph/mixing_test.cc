#include "operator/graph/mixing.h"

#include <cmath>
#include <numbers>
#include <numeric>

#include "gtest/gtest.h"
#include "operator/graph/planner.h"
#include "tests/operator/graph/dense_gap.h"

namespace grapevine::graph {
namespace {

constexpr Side kA = Side::kActive;
constexpr Side kP = Side::kPassive;

std::vector<MemberId> Ids(size_t n) {
  std::vector<MemberId> ids(n);
  std::iota(ids.begin(), ids.end(), 1);
  return ids;
}

Graph Fresh(Family family, size_t n, size_t degree = 8, uint64_t seed = 1) {
  Rng rng(seed);
  return Plan(Graph(), Ids(n), {family, degree}, rng).next;
}

TEST(SpectralGapTest, OfCompleteGraphsIsOneWithEqualSides) {
  for (size_t n : {4, 6, 16, 100, 1000}) {
    EXPECT_NEAR(SpectralGap(Fresh(Family::kComplete, n)), 1, 1e-9) << n;
  }
  for (size_t n : {3, 5, 17, 101}) {
    EXPECT_NEAR(SpectralGap(Fresh(Family::kComplete, n)), static_cast<double>(n) / (n + 1), 1e-9);
  }
}

TEST(SpectralGapTest, OfUnequalSidesFollowsTheFormula) {
  std::vector<Member> members;
  for (MemberId id = 1; id <= 16; ++id) members.push_back({id, id <= 12 ? kA : kP});
  EXPECT_NEAR(SpectralGap(*Graph::MakeComplete(members)), 16.0 / 24, 1e-9);
  for (Member& member : members) member.side = Opposite(member.side);
  EXPECT_NEAR(SpectralGap(*Graph::MakeComplete(members)), 16.0 / 24, 1e-9);
}

TEST(SpectralGapTest, OfNobodyAndOneIsOneAndOfTwoIsTwo) {
  EXPECT_EQ(SpectralGap(Graph()), 1);
  EXPECT_EQ(SpectralGap(Fresh(Family::kComplete, 1)), 1);
  EXPECT_NEAR(SpectralGap(Fresh(Family::kComplete, 2)), 2, 1e-12);
}

TEST(SpectralGapTest, OfPartsIsZero) {
  const std::vector<Edge> edges = {{1, 2}, {3, 4}};
  EXPECT_EQ(SpectralGap(*Graph::Make({{1, kA}, {2, kP}, {3, kA}, {4, kP}}, edges)), 0);
  EXPECT_EQ(SpectralGap(*Graph::MakeComplete({{1, kA}, {2, kA}})), 0);
}

TEST(SpectralGapTest, OfTheRingFollowsTheFormula) {
  for (size_t n : {4, 10, 64, 256}) {
    const double exact = 1 - std::cos(2 * std::numbers::pi / static_cast<double>(n));
    EXPECT_NEAR(SpectralGap(Fresh(Family::kRing, n)), exact, 1e-5 * exact) << n;
  }
}

TEST(SpectralGapTest, OfTheExponentialGraphIsAsComputedBefore) {
  EXPECT_NEAR(SpectralGap(Fresh(Family::kExponential, 16)), 1.0, 1e-6);
  EXPECT_NEAR(SpectralGap(Fresh(Family::kExponential, 32)), 0.677, 1e-3);
  EXPECT_NEAR(SpectralGap(Fresh(Family::kExponential, 64)), 0.604, 1e-3);
  EXPECT_NEAR(SpectralGap(Fresh(Family::kExponential, 256)), 0.432, 1e-3);
}

TEST(SpectralGapTest, AgreesWithTheDenseTwin) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Rng rng(seed);
    const size_t n = 2 + Below(rng, 40);
    const auto family = static_cast<Family>(1 + Below(rng, 4));
    const Graph graph = Fresh(family, n, 2 + Below(rng, 6), seed);
    const double dense = DenseSpectralGap(graph);
    EXPECT_NEAR(SpectralGap(graph), dense, 1e-6 * dense + 1e-10)
        << FamilyName(family) << " of " << n << ", seed " << seed;
  }
}

TEST(SpectralGapTest, AgreesWithTheDenseTwinOnAnyGraph) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Rng rng(seed);
    std::vector<Member> members;
    for (MemberId id = 1; id <= 24; ++id) members.push_back({id, id <= 9 ? kA : kP});
    std::vector<Edge> edges;
    for (MemberId a = 1; a <= 9; ++a) {
      for (MemberId p = 10; p <= 24; ++p) {
        if (Below(rng, 4) == 0) edges.push_back({a, p});
      }
    }
    const Graph graph = *Graph::Make(members, edges);
    bool lonely_active = false;  // it would begin exchanges with nobody: no gap is defined
    for (MemberId a = 1; a <= 9; ++a) lonely_active |= graph.Neighbours(a).empty();
    if (lonely_active) continue;
    EXPECT_NEAR(SpectralGap(graph), DenseSpectralGap(graph), 1e-7) << seed;
  }
}

}  // namespace
}  // namespace grapevine::graph
