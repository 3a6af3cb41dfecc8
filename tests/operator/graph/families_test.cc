#include <algorithm>
#include <numeric>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/graph/bipartition.h"
#include "operator/graph/complete.h"
#include "operator/graph/exponential.h"
#include "operator/graph/invariants.h"
#include "operator/graph/random_regular.h"
#include "operator/graph/ring.h"

namespace grapevine::graph {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<MemberId> Ids(size_t n) {
  std::vector<MemberId> ids(n);
  std::iota(ids.begin(), ids.end(), 1);
  return ids;
}

std::vector<Member> Alternating(size_t n) { return Alternate(Graph(), Ids(n)).members; }

std::vector<Member> Partitioned(const Graph& current, const std::vector<MemberId>& ids) {
  Rng rng(1);
  return Partition(current, ids, rng).members;
}

TEST(RingTest, ClosesWithAnEvenNumberOnly) {
  EXPECT_EQ(BuildRing(Alternating(4)).Describe(),
            "1 active: 2 4\n2 passive: 1 3\n3 active: 2 4\n4 passive: 1 3\n");
  EXPECT_EQ(BuildRing(Alternating(5)).Describe(),
            "1 active: 2\n2 passive: 1 3\n3 active: 2 4\n4 passive: 3 5\n5 active: 4\n");
}

TEST(RingTest, OfAnyNumberIsConnectedWithTwoNeighboursAtMost) {
  for (size_t n = 0; n < 40; ++n) {
    EXPECT_THAT(Violations(BuildRing(Alternating(n)), {.max_degree = 2}), IsEmpty()) << n;
  }
}

TEST(ExponentialTest, HopsAreOneAndPowersOfTwoPlusOne) {
  const Graph graph = BuildExponential(Alternating(32));
  EXPECT_THAT(graph.Neighbours(1), ElementsAre(2, 4, 6, 10, 16, 18, 24, 28, 30, 32));
}

TEST(ExponentialTest, OfAnyNumberIsConnectedWithLogarithmicDegree) {
  for (size_t n = 0; n < 130; ++n) {
    size_t hops = 1;
    while ((size_t{1} << hops) < n) ++hops;
    EXPECT_THAT(Violations(BuildExponential(Alternating(n)), {.max_degree = 2 * hops}), IsEmpty())
        << n;
  }
}

TEST(ExponentialTest, OfSixteenIsComplete) {
  EXPECT_TRUE(BuildExponential(Alternating(16)).IsComplete());
}

TEST(RandomRegularTest, OfAnyNumberAndDegreeHasAllTheEdgesItMay) {
  for (size_t degree = 2; degree <= 8; ++degree) {
    for (size_t n = 0; n < 60; ++n) {
      Rng rng(n);
      const Graph graph = EvolveRandomRegular(Graph(), Partitioned(Graph(), Ids(n)), degree, rng);
      ASSERT_THAT(Violations(graph, {.max_degree = degree}), IsEmpty()) << n << ", " << degree;
      ASSERT_TRUE(IsRandomRegular(graph, degree)) << n << ", " << degree;
    }
  }
}

TEST(RandomRegularTest, DegreesOfASideDifferByAtMostOne) {
  for (size_t n = 2; n < 60; ++n) {
    Rng rng(n);
    const Graph graph = EvolveRandomRegular(Graph(), Partitioned(Graph(), Ids(n)), 4, rng);
    for (Side side : {Side::kActive, Side::kPassive}) {
      size_t least = 99;
      size_t most = 0;
      for (const Member& member : graph.members()) {
        if (member.side != side) continue;
        least = std::min(least, graph.Neighbours(member.id).size());
        most = std::max(most, graph.Neighbours(member.id).size());
      }
      ASSERT_LE(most - least, 1u) << n;
    }
  }
}

TEST(RandomRegularTest, WithTheSameMembersNothingChanges) {
  Rng rng(5);
  const Graph graph = EvolveRandomRegular(Graph(), Partitioned(Graph(), Ids(41)), 6, rng);
  EXPECT_EQ(EvolveRandomRegular(graph, Partitioned(graph, Ids(41)), 6, rng), graph);
}

TEST(RandomRegularTest, OfDegreeTwoStaysOneCycleOrPath) {
  Graph graph;
  Rng rng(2);
  std::vector<MemberId> ids;
  for (MemberId id = 1; id < 300; ++id) {
    ids.push_back(id);
    if (id % 3 == 0) ids.erase(ids.begin() + Below(rng, ids.size()));
    graph = EvolveRandomRegular(graph, Partition(graph, ids, rng).members, 2, rng);
    ASSERT_THAT(Violations(graph, {.max_degree = 2}), IsEmpty()) << graph.Describe();
  }
}

TEST(RandomRegularTest, JoinsPartsThatHaveNoPathBetweenThem) {
  // Two cubes, each complete but for a matching: 3-regular, so that nobody lacks a neighbour.
  std::vector<Member> members;
  std::vector<Edge> edges;
  for (MemberId part : {0, 8}) {
    for (MemberId i = 1; i <= 4; ++i) {
      members.push_back({part + i, Side::kActive});
      members.push_back({part + 4 + i, Side::kPassive});
      for (MemberId j = 1; j <= 4; ++j) {
        if (i != j) edges.push_back({part + i, part + 4 + j});
      }
    }
  }
  const Graph parts = *Graph::Make(members, edges);
  ASSERT_EQ(CountComponents(parts), 2u);
  Rng rng(1);
  const Graph joined = EvolveRandomRegular(
      parts, std::vector<Member>(parts.members().begin(), parts.members().end()), 3, rng);
  EXPECT_THAT(Violations(joined, {.max_degree = 3}), IsEmpty());
  size_t kept = 0;
  for (const Edge& edge : edges) kept += joined.HasEdge(edge.active, edge.passive);
  EXPECT_EQ(kept, edges.size() - 2) << "one switch";
}

TEST(RandomRegularTest, MixingKeepsDegrees) {
  Rng rng(1);
  const Graph graph = EvolveRandomRegular(Graph(), Partitioned(Graph(), Ids(40)), 4, rng);
  const Graph mixed = MixRandomRegular(graph, 4, 200, rng);
  EXPECT_NE(mixed, graph);
  EXPECT_TRUE(IsRandomRegular(mixed, 4));
  EXPECT_THAT(Violations(mixed, {.max_degree = 4}), IsEmpty());
}

}  // namespace
}  // namespace grapevine::graph
