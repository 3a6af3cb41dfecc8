#include "operator/graph/invariants.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grapevine::graph {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr Side kA = Side::kActive;
constexpr Side kP = Side::kPassive;

TEST(InvariantsTest, HoldForNobodyAndForOne) {
  EXPECT_THAT(Violations(Graph(), {}), IsEmpty());
  EXPECT_THAT(Violations(*Graph::MakeComplete({{1, kP}}), {}), IsEmpty());
  EXPECT_EQ(CountComponents(Graph()), 0u);
}

TEST(InvariantsTest, NameEveryViolation) {
  const std::vector<Edge> edges = {{1, 5}, {1, 6}};
  const Graph graph = *Graph::Make({{1, kA}, {2, kA}, {3, kA}, {4, kA}, {5, kP}, {6, kP}}, edges);
  EXPECT_THAT(
      Violations(graph, {.max_degree = 1}),
      ElementsAre("4 active and 2 passive members differ by more than one",
                  "member 1 has 2 neighbours, 1 are allowed", "the graph falls into 4 parts"));
  EXPECT_EQ(CheckInvariants(graph, {}).code(), absl::StatusCode::kInternal);
}

TEST(InvariantsTest, CountParts) {
  const std::vector<Edge> edges = {{1, 2}, {3, 4}, {3, 6}};
  const Graph graph = *Graph::Make({{1, kA}, {2, kP}, {3, kA}, {4, kP}, {5, kA}, {6, kP}}, edges);
  EXPECT_EQ(CountComponents(graph), 3u);
  EXPECT_EQ(CountComponents(*Graph::MakeComplete({{1, kA}, {2, kA}})), 2u);
  EXPECT_EQ(CountComponents(*Graph::MakeComplete({{1, kA}, {2, kP}, {3, kA}})), 1u);
}

}  // namespace
}  // namespace grapevine::graph
