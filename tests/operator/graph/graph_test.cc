#include "operator/graph/graph.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grapevine::graph {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr Side kA = Side::kActive;
constexpr Side kP = Side::kPassive;

TEST(GraphTest, SortsMembersAndNeighbours) {
  const std::vector<Edge> edges = {{9, 4}, {2, 4}, {9, 1}};
  const Graph graph = *Graph::Make({{9, kA}, {4, kP}, {2, kA}, {1, kP}}, edges);
  EXPECT_EQ(graph.size(), 4u);
  EXPECT_EQ(graph.CountOf(kA), 2u);
  EXPECT_EQ(graph.edge_count(), 3u);
  EXPECT_THAT(graph.Neighbours(4), ElementsAre(2, 9));
  EXPECT_THAT(graph.Neighbours(9), ElementsAre(1, 4));
  EXPECT_THAT(graph.Edges(), ElementsAre(Edge{2, 4}, Edge{9, 1}, Edge{9, 4}));
  EXPECT_TRUE(graph.HasEdge(4, 9));
  EXPECT_FALSE(graph.HasEdge(1, 2));
  EXPECT_EQ(graph.Describe(), "1 passive: 9\n2 active: 4\n4 passive: 2 9\n9 active: 1 4\n");
}

TEST(GraphTest, StrangersHaveNoNeighbours) {
  const Graph graph = *Graph::MakeComplete({{1, kA}, {2, kP}});
  EXPECT_THAT(graph.Neighbours(3), IsEmpty());
  EXPECT_EQ(graph.Find(3), nullptr);
  EXPECT_FALSE(graph.HasEdge(3, 1));
  EXPECT_FALSE(graph.HasEdge(1, 3));
}

TEST(GraphTest, NobodyIsAGraphToo) {
  const Graph graph;
  EXPECT_TRUE(graph.empty());
  EXPECT_TRUE(graph.IsComplete());
  EXPECT_EQ(graph.Describe(), "nobody\n");
  EXPECT_EQ(graph, *Graph::Make({}, {}));
  EXPECT_EQ(graph, *Graph::MakeComplete({}));
}

TEST(GraphTest, OneMemberIsAlone) {
  const Graph graph = *Graph::MakeComplete({{7, kA}});
  EXPECT_THAT(graph.Neighbours(7), IsEmpty());
  EXPECT_EQ(graph.Describe(), "7 active:\n");
}

TEST(GraphTest, ACompleteGraphIsTheSameHoweverItIsMade) {
  const std::vector<Member> members = {{1, kA}, {2, kP}, {3, kA}, {4, kP}, {5, kA}};
  const std::vector<Edge> edges = {{1, 2}, {1, 4}, {3, 2}, {3, 4}, {5, 2}, {5, 4}};
  const Graph complete = *Graph::MakeComplete(members);
  EXPECT_EQ(complete, *Graph::Make(members, edges));
  EXPECT_EQ(complete.Edges(), edges);
  EXPECT_THAT(complete.Neighbours(2), ElementsAre(1, 3, 5));
  EXPECT_TRUE(complete.IsComplete());
  EXPECT_NE(complete, *Graph::Make(members, std::span(edges).first(5)));
}

TEST(GraphTest, RefusesWhatIsNoGraph) {
  const std::vector<Member> members = {{1, kA}, {2, kP}, {3, kA}};
  const std::vector<std::vector<Edge>> bad = {{{1, 3}}, {{2, 1}},         {{1, 9}}, {{9, 2}},
                                              {{1, 1}}, {{1, 2}, {1, 2}}, {{0, 2}}};
  for (const std::vector<Edge>& edges : bad) {
    EXPECT_EQ(Graph::Make(members, edges).status().code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_FALSE(Graph::Make({{0, kA}}, {}).ok());
  EXPECT_FALSE(Graph::Make({{1, kA}, {1, kP}}, {}).ok());
  EXPECT_FALSE(Graph::MakeComplete({{1, kA}, {1, kA}}).ok());
}

}  // namespace
}  // namespace grapevine::graph
