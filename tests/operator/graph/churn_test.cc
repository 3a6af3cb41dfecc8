// Long lives of graphs: joins and leaves, singly and in bursts, with the invariants checked at each
// event.

#include <algorithm>
#include <numeric>

#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/graph/invariants.h"
#include "operator/graph/mixing.h"
#include "operator/graph/planner.h"
#include "operator/graph/random_regular.h"

namespace grapevine::graph {
namespace {

using testing::IsEmpty;

struct Churn {
  std::string name;
  size_t members;
  size_t degree;
  double most_edits_mean;  // notes, algorithm 5.3: about 1.25 d
  size_t most_edits;
  double least_gap;
  double least_gap_mean;
};

std::vector<MemberId> Ids(size_t n) {
  std::vector<MemberId> ids(n);
  std::iota(ids.begin(), ids.end(), 1);
  return ids;
}

class ChurnTest : public testing::TestWithParam<Churn> {};

TEST_P(ChurnTest, KeepsInvariantsGapAndFewEditsOver1500Events) {
  const Churn& churn = GetParam();
  const Policy policy{Family::kRandomRegular, churn.degree};
  Rng rng(17);
  std::vector<MemberId> members = Ids(churn.members);
  Graph graph = Plan(Graph(), members, policy, rng).next;
  MemberId last = churn.members;
  std::vector<size_t> edits;
  std::vector<double> gaps;
  size_t recolourings = 0;
  for (int event = 0; event < 1500; ++event) {
    const bool join = members.size() <= churn.members / 2 ||
                      (members.size() < 2 * churn.members && Below(rng, 2) == 0);
    if (join) {
      members.push_back(++last);
    } else {
      members.erase(members.begin() + Below(rng, members.size()));
    }
    const PlanResult plan = Plan(graph, members, policy, rng);
    graph = plan.next;
    ASSERT_THAT(Violations(graph, {.max_degree = churn.degree}), IsEmpty()) << event;
    ASSERT_TRUE(IsRandomRegular(graph, churn.degree)) << event;
    ASSERT_LE(plan.edits.recoloured.size(), 1u);
    recolourings += plan.edits.recoloured.size();
    edits.push_back(plan.edits.edges());
    if (event % 5 == 0) gaps.push_back(SpectralGap(graph));
  }
  std::ranges::sort(edits);
  std::ranges::sort(gaps);
  const double mean_edits =
      std::accumulate(edits.begin(), edits.end(), 0.0) / static_cast<double>(edits.size());
  const double mean_gap =
      std::accumulate(gaps.begin(), gaps.end(), 0.0) / static_cast<double>(gaps.size());
  fmt::print(
      "edits per event: mean {:.1f}, p99 {}, max {}; gap: mean {:.3f}, min {:.3f}; "
      "re-coloured in {:.0f} %\n",
      mean_edits, edits[edits.size() * 99 / 100], edits.back(), mean_gap, gaps.front(),
      static_cast<double>(recolourings) / 15);
  EXPECT_LE(mean_edits, churn.most_edits_mean);
  EXPECT_LE(edits.back(), churn.most_edits);
  EXPECT_GE(gaps.front(), churn.least_gap);
  EXPECT_GE(mean_gap, churn.least_gap_mean);
}

INSTANTIATE_TEST_SUITE_P(AsSimulatedInTheNotes, ChurnTest,
                         testing::Values(Churn{"16x4", 16, 4, 6, 20, .14, .28},
                                         Churn{"16x6", 16, 6, 8.5, 28, .33, .53},
                                         Churn{"64x3", 64, 3, 4.5, 16, .040, .070},
                                         Churn{"64x4", 64, 4, 6, 20, .10, .155},
                                         Churn{"64x6", 64, 6, 9, 28, .25, .30},
                                         Churn{"128x4", 128, 4, 6, 20, .12, .145},
                                         Churn{"128x6", 128, 6, 9, 28, .245, .275},
                                         Churn{"128x8", 128, 8, 12, 36, .33, .36}),
                         [](const auto& test) { return "Of" + test.param.name; });

// Anything may follow anything: bursts, other policies, everyone gone.
TEST(ChurnOfEverythingTest, KeepsTheInvariants) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    Rng rng(seed);
    Graph graph;
    std::vector<MemberId> members;
    MemberId last = 0;
    Policy policy;
    for (int event = 0; event < 150; ++event) {
      const size_t leave = Below(rng, 5) == 0 ? Below(rng, members.size() + 1) : Below(rng, 3);
      std::shuffle(members.begin(), members.end(), rng);
      members.resize(members.size() - std::min(leave, members.size()));
      const size_t join = Below(rng, 12) == 0 ? Below(rng, 40) : Below(rng, 3);
      for (size_t i = 0; i < join; ++i) members.push_back(++last);
      if (Below(rng, 15) == 0) policy = {static_cast<Family>(Below(rng, 5)), Below(rng, 10)};
      const PlanResult plan = Plan(graph, members, policy, rng);
      graph = plan.next;
      const bool bounded = plan.family == Family::kRandomRegular;
      const size_t degree = std::max<size_t>(policy.degree, 2);
      ASSERT_THAT(Violations(graph, {.max_degree = bounded ? degree : 0}), IsEmpty())
          << FamilyName(plan.family) << ", seed " << seed << ", event " << event;
      ASSERT_EQ(graph.size(), members.size());
    }
  }
}

}  // namespace
}  // namespace grapevine::graph
