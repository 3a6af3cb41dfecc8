#include "operator/graph/chords.h"

#include "gtest/gtest.h"

namespace grapevine::graph {
namespace {

constexpr Side kA = Side::kActive;
constexpr Side kP = Side::kPassive;

TEST(ChordsTest, LeaveOutEdgesWithinASideAndThoseNamedTwice) {
  const std::vector<Member> members = {{1, kA}, {2, kP}, {3, kA}, {4, kP}};
  EXPECT_EQ(BuildChords(members, {1, 2, 3}).Describe(),
            "1 active: 2 4\n2 passive: 1 3\n3 active: 2 4\n4 passive: 1 3\n");
}

TEST(ChordsTest, OfOneMemberAndOfNobodyAreNone) {
  EXPECT_EQ(BuildChords({{7, kP}}, {1, 3}).edge_count(), 0u);
  EXPECT_TRUE(BuildChords({}, {1}).empty());
}

}  // namespace
}  // namespace grapevine::graph
