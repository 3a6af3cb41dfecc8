#include "operator/graph/bipartition.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grapevine::graph {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr Side kA = Side::kActive;
constexpr Side kP = Side::kPassive;

TEST(PartitionTest, JoinersGoToTheSmallerSide) {
  Rng rng(1);
  const std::vector<MemberId> members = {5, 2, 9};
  EXPECT_THAT(Partition(Graph(), members, rng).members,
              ElementsAre(Member{2, kA}, Member{5, kP}, Member{9, kA}));
  const Graph current = *Graph::MakeComplete({{2, kA}, {9, kA}});
  EXPECT_THAT(Partition(current, members, rng).members,
              ElementsAre(Member{2, kA}, Member{5, kP}, Member{9, kA}));
}

TEST(PartitionTest, LeaversReplacedByJoinersRecolourNobody) {
  Rng rng(1);
  const Graph current = *Graph::MakeComplete({{1, kA}, {2, kP}, {3, kA}, {4, kP}});
  const std::vector<MemberId> members = {1, 3, 5, 6};
  const Bipartition result = Partition(current, members, rng);
  EXPECT_THAT(result.members,
              ElementsAre(Member{1, kA}, Member{3, kA}, Member{5, kP}, Member{6, kP}));
  EXPECT_THAT(result.recoloured, IsEmpty());
}

TEST(PartitionTest, RecoloursAsFewAsItMustAndAnyoneOfTheLargerSide) {
  std::vector<Member> all;
  std::vector<MemberId> stay;
  for (MemberId id = 1; id <= 20; ++id) {
    all.push_back({id, id <= 10 ? kA : kP});
    if (id <= 12) stay.push_back(id);
  }
  const Graph current = *Graph::MakeComplete(all);
  std::vector<int> chosen(21);
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Rng rng(seed);
    const Bipartition result = Partition(current, stay, rng);
    ASSERT_EQ(result.recoloured.size(), 4u);
    for (MemberId id : result.recoloured) ++chosen[id];
  }
  for (MemberId id = 1; id <= 10; ++id) EXPECT_GT(chosen[id], 40) << id;
  EXPECT_EQ(chosen[11] + chosen[12], 0);
}

TEST(AlternateTest, BeginsWithTheSideThatKeepsMore) {
  const Graph current = *Graph::MakeComplete({{1, kA}, {2, kP}, {3, kA}, {4, kP}});
  const std::vector<MemberId> first_left = {4, 3, 2};
  const Bipartition shifted = Alternate(current, first_left);
  EXPECT_THAT(shifted.members, ElementsAre(Member{2, kP}, Member{3, kA}, Member{4, kP}));
  EXPECT_THAT(shifted.recoloured, IsEmpty());
  const std::vector<MemberId> middle_left = {1, 3, 4};
  EXPECT_THAT(Alternate(current, middle_left).recoloured, ElementsAre(1));
}

}  // namespace
}  // namespace grapevine::graph
