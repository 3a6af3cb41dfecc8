#include "operator/graph/draft.h"

#include <map>

#include "gtest/gtest.h"

namespace grapevine::graph {
namespace {

constexpr Side kA = Side::kActive;
constexpr Side kP = Side::kPassive;

Draft TwoPairs() {
  Draft draft({{1, kA}, {2, kP}, {3, kA}, {4, kP}});
  draft.Connect(0, 1);
  draft.Connect(2, 3);
  return draft;
}

TEST(DraftTest, ASwitchKeepsDegrees) {
  Draft draft = TwoPairs();
  EXPECT_TRUE(draft.Switch(0, 1, 2, 3));
  EXPECT_TRUE(draft.Has(0, 3));
  EXPECT_TRUE(draft.Has(2, 1));
  EXPECT_FALSE(draft.Has(0, 1));
  for (Draft::Position i = 0; i < 4; ++i) EXPECT_EQ(draft.Degree(i), 1u);
}

TEST(DraftTest, ASwitchThatWouldDoubleAnEdgeIsRefused) {
  Draft draft = TwoPairs();
  draft.Connect(0, 3);
  EXPECT_FALSE(draft.Switch(0, 1, 2, 3));
  EXPECT_FALSE(draft.Switch(0, 1, 0, 3));
  EXPECT_FALSE(draft.Switch(0, 1, 2, 1)) << "no such edge";
  EXPECT_EQ(draft.Freeze().edge_count(), 3u);
}

TEST(DraftTest, RandomEdgesAreEquallyLikely) {
  Draft draft = TwoPairs();
  draft.Connect(0, 3);
  Rng rng(3);
  std::map<std::pair<Draft::Position, Draft::Position>, int> seen;
  for (int i = 0; i < 3000; ++i) ++seen[draft.RandomEdge(4, rng)];
  EXPECT_EQ(seen.size(), 3u);
  for (const auto& [edge, count] : seen) EXPECT_NEAR(count, 1000, 120);
}

TEST(DraftTest, CountsItsParts) {
  Draft draft = TwoPairs();
  std::vector<uint32_t> component;
  EXPECT_EQ(draft.Components(component), 2u);
  EXPECT_EQ(component, (std::vector<uint32_t>{0, 0, 1, 1}));
}

}  // namespace
}  // namespace grapevine::graph
