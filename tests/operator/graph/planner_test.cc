#include "operator/graph/planner.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/graph/invariants.h"
#include "operator/graph/mixing.h"
#include "operator/graph/random_regular.h"

namespace grapevine::graph {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

std::vector<MemberId> Ids(size_t n) {
  std::vector<MemberId> ids(n);
  std::iota(ids.begin(), ids.end(), 1);
  return ids;
}

Graph Fresh(const Policy& policy, size_t n) {
  Rng rng(1);
  return Plan(Graph(), Ids(n), policy, rng).next;
}

TEST(PlannerTest, FamilyNamesAreThoseOfTheResource) {
  for (Family family : {Family::kAuto, Family::kComplete, Family::kRandomRegular, Family::kRing,
                        Family::kExponential}) {
    EXPECT_EQ(ParseFamily(FamilyName(family)), family);
  }
  EXPECT_EQ(ParseFamily("Torus"), std::nullopt);
  EXPECT_EQ(ParseFamily("ring"), std::nullopt);
}

TEST(PlannerTest, NobodyThenOneThenTwoThenNobody) {
  Rng rng(1);
  EXPECT_TRUE(Plan(Graph(), {}, {}, rng).edits.empty());
  const PlanResult one = Plan(Graph(), Ids(1), {}, rng);
  EXPECT_EQ(one.next.Describe(), "1 active:\n");
  EXPECT_THAT(one.edits.changed, ElementsAre(1));
  EXPECT_EQ(one.reason, "1 joined");
  const PlanResult two = Plan(one.next, Ids(2), {}, rng);
  EXPECT_EQ(two.next.Describe(), "1 active: 2\n2 passive: 1\n");
  EXPECT_THAT(two.edits.changed, ElementsAre(1, 2));
  EXPECT_EQ(two.reason, "2 joined; 1 edge added, 0 removed");
  const PlanResult none = Plan(two.next, {}, {}, rng);
  EXPECT_TRUE(none.next.empty());
  EXPECT_THAT(none.edits.left, ElementsAre(1, 2));
  EXPECT_THAT(none.edits.changed, IsEmpty());
  EXPECT_THAT(none.edits.removed, IsEmpty());
}

TEST(PlannerTest, ALeaveFromCompleteTellsOnlyTheOtherSide) {
  Rng rng(1);
  const Graph six = Fresh({Family::kComplete}, 6);
  const std::vector<MemberId> members = {1, 2, 3, 4, 6};
  const PlanResult plan = Plan(six, members, {Family::kComplete}, rng);
  EXPECT_THAT(plan.edits.left, ElementsAre(5));
  EXPECT_THAT(plan.edits.changed, ElementsAre(2, 4, 6));
  EXPECT_THAT(plan.edits.added, IsEmpty());
  EXPECT_THAT(plan.edits.removed, IsEmpty()) << "edges of leavers go unsaid";
  EXPECT_EQ(plan.reason, "5 left");
}

TEST(PlannerTest, EditsSayAllThatChanged) {
  Rng rng(4);
  Graph graph = Fresh({Family::kRandomRegular, 4}, 20);
  std::vector<MemberId> members = Ids(20);
  members.erase(members.begin() + 2, members.begin() + 9);
  members.insert(members.end(), {31, 32});
  const PlanResult plan = Plan(graph, members, {Family::kRandomRegular, 4}, rng);
  EXPECT_THAT(plan.edits.joined, ElementsAre(31, 32));
  EXPECT_EQ(plan.edits.left.size(), 7u);
  std::set<std::pair<MemberId, MemberId>> edges;
  auto key = [](const Edge& edge) { return std::minmax(edge.active, edge.passive); };
  for (const Edge& edge : graph.Edges()) {
    if (plan.next.Contains(edge.active) && plan.next.Contains(edge.passive)) {
      edges.insert(key(edge));
    }
  }
  for (const Edge& edge : plan.edits.removed) EXPECT_EQ(edges.erase(key(edge)), 1u);
  for (const Edge& edge : plan.edits.added) EXPECT_TRUE(edges.insert(key(edge)).second);
  std::set<std::pair<MemberId, MemberId>> next;
  for (const Edge& edge : plan.next.Edges()) next.insert(key(edge));
  EXPECT_EQ(edges, next);
  for (const Member& member : plan.next.members()) {
    const bool same =
        graph.Find(member.id) != nullptr && *graph.Find(member.id) == member &&
        std::ranges::equal(graph.Neighbours(member.id), plan.next.Neighbours(member.id));
    EXPECT_EQ(std::ranges::count(plan.edits.changed, member.id), same ? 0 : 1);
  }
}

TEST(PlannerTest, PlanningTheSameAgainChangesNothing) {
  for (int family = 0; family <= 4; ++family) {
    for (size_t n : {0, 1, 2, 3, 9, 33, 40}) {
      const Policy policy{static_cast<Family>(family), 4};
      Rng rng(7);
      const Graph graph = Fresh(policy, n);
      const PlanResult plan = Plan(graph, Ids(n), policy, rng);
      EXPECT_EQ(plan.next, graph);
      EXPECT_TRUE(plan.edits.empty());
      EXPECT_EQ(plan.reason, "nothing to change");
    }
  }
}

TEST(PlannerTest, TheSameSeedPlansTheSameGraph) {
  Rng one(9);
  Rng two(9);
  EXPECT_EQ(Plan(Graph(), Ids(50), {}, one).next, Plan(Graph(), Ids(50), {}, two).next);
}

TEST(PlannerTest, AutoLeavesCompleteAbove32AndReturnsAt28) {
  Rng rng(1);
  Graph graph;
  std::vector<Family> seen;
  std::vector<size_t> counts = {32, 33, 32, 29, 33, 29, 28, 29, 32, 33};
  for (size_t n : counts) {
    const PlanResult plan = Plan(graph, Ids(n), {}, rng);
    seen.push_back(plan.family);
    graph = plan.next;
    EXPECT_THAT(Violations(graph, {}), IsEmpty());
  }
  const Family kC = Family::kComplete;
  const Family kR = Family::kRandomRegular;
  EXPECT_THAT(seen, ElementsAre(kC, kR, kR, kR, kR, kR, kC, kC, kC, kR));
  EXPECT_EQ(Plan(Graph(), Ids(30), {}, rng).family, kC);
}

TEST(PlannerTest, AChangeOfPolicyKeepsTheEdgesThatFit) {
  Rng rng(1);
  const Graph complete = Fresh({Family::kComplete}, 40);
  const PlanResult regular = Plan(complete, Ids(40), {Family::kRandomRegular, 8}, rng);
  EXPECT_THAT(regular.edits.added, IsEmpty());
  EXPECT_THAT(regular.edits.recoloured, IsEmpty());
  EXPECT_TRUE(IsRandomRegular(regular.next, 8));
  const PlanResult thinner = Plan(regular.next, Ids(40), {Family::kRandomRegular, 5}, rng);
  EXPECT_TRUE(IsRandomRegular(thinner.next, 5));
  EXPECT_LE(thinner.edits.added.size(), 15u);
  const PlanResult back = Plan(thinner.next, Ids(40), {Family::kComplete}, rng);
  EXPECT_EQ(back.next, complete);
  EXPECT_THAT(back.edits.removed, IsEmpty());
  const Graph ring = Fresh({Family::kRing}, 40);
  const PlanResult grown = Plan(ring, Ids(40), {Family::kRandomRegular, 4}, rng);
  EXPECT_THAT(Violations(grown.next, {.max_degree = 4}), IsEmpty());
  EXPECT_LE(grown.edits.removed.size(), 4u);
}

TEST(PlannerTest, ALeaveFromTheRingShiftsTheSidesBehindIt) {
  Rng rng(1);
  const Graph ring = Fresh({Family::kRing}, 6);
  const std::vector<MemberId> members = {1, 2, 3, 4, 6};
  const PlanResult plan = Plan(ring, members, {Family::kRing}, rng);
  EXPECT_THAT(plan.edits.recoloured, ElementsAre(6));
  EXPECT_EQ(plan.next.Describe(),
            "1 active: 2\n2 passive: 1 3\n3 active: 2 4\n"
            "4 passive: 3 6\n6 active: 4\n");
  EXPECT_EQ(plan.reason, "5 left; 6 changed side; 1 edge added, 1 removed");
}

TEST(PlannerTest, ADegreeBelowTwoCountsAsTwo) {
  Rng rng(1);
  for (size_t degree : {0, 1}) {
    const Graph graph = Plan(Graph(), Ids(9), {Family::kRandomRegular, degree}, rng).next;
    EXPECT_THAT(Violations(graph, {.max_degree = 2}), IsEmpty());
  }
}

TEST(RepairTest, ThresholdIsNineTenthsOfRamanujan) {
  EXPECT_NEAR(RepairThreshold(4), 0.9 * 0.1340, 1e-4);
  EXPECT_NEAR(RepairThreshold(8), 0.9 * 0.3386, 1e-4);
  EXPECT_NEAR(RepairThreshold(2), 0, 1e-12);
}

// A circular ladder of sorts: each active i next to passives i..i+3, so badly mixed.
Graph Band(size_t pairs, size_t degree) {
  std::vector<Member> members;
  std::vector<Edge> edges;
  for (size_t i = 0; i < pairs; ++i) {
    members.push_back({2 * i + 1, Side::kActive});
    members.push_back({2 * i + 2, Side::kPassive});
    for (size_t k = 0; k < degree; ++k) edges.push_back({2 * i + 1, 2 * ((i + k) % pairs) + 2});
  }
  return *Graph::Make(members, edges);
}

TEST(RepairTest, MixesAGraphUntilTheGapIsBack) {
  const Graph band = Band(64, 4);
  Rng rng(1);
  const std::optional<RepairResult> repair = Repair(band, {Family::kRandomRegular, 4}, rng);
  ASSERT_TRUE(repair.has_value());
  EXPECT_LT(repair->gap_before, 0.02);
  EXPECT_GE(repair->gap_after, RepairThreshold(4));
  EXPECT_NEAR(repair->gap_after, SpectralGap(repair->plan.next), 1e-9);
  EXPECT_LE(repair->switches, 128u * 4);
  EXPECT_THAT(Violations(repair->plan.next, {.max_degree = 4}), IsEmpty());
  EXPECT_TRUE(IsRandomRegular(repair->plan.next, 4));
  EXPECT_THAT(repair->plan.edits.recoloured, IsEmpty());
  EXPECT_EQ(repair->plan.edits.added.size(), repair->plan.edits.removed.size());
  EXPECT_FALSE(Repair(repair->plan.next, {Family::kRandomRegular, 4}, rng).has_value());
}

TEST(RepairTest, LeavesWellMixedGraphsAndOtherFamiliesAlone) {
  Rng rng(1);
  EXPECT_FALSE(Repair(Fresh({}, 100), {}, rng).has_value());
  EXPECT_FALSE(Repair(Fresh({}, 10), {}, rng).has_value());
  EXPECT_FALSE(Repair(Fresh({Family::kRing}, 100), {Family::kRing}, rng).has_value());
  EXPECT_FALSE(Repair(Graph(), {Family::kRandomRegular, 8}, rng).has_value());
  EXPECT_FALSE(Repair(Fresh({Family::kRandomRegular, 2}, 50), {Family::kRandomRegular, 2}, rng));
}

}  // namespace
}  // namespace grapevine::graph
