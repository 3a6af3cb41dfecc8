#pragma once

#include <span>
#include <vector>

#include "operator/graph/graph.h"
#include "operator/graph/rng.h"

namespace grapevine::graph {

// Sides for the next graph of a family that is free to choose them (Complete, RandomRegular).
struct Bipartition {
  std::vector<Member> members;       // by ascending id
  std::vector<MemberId> recoloured;  // stayed, on the other side now; ascending
};

// Members that stay keep their sides; a joiner goes to the smaller side (active at a tie, so that a
// first member is active). If the sides then differ by two or more, which only leaves can cause,
// random members of the larger side change over until they differ by at most one: half the
// difference, the fewest possible. `members` are ids without repetition, in any order.
Bipartition Partition(const Graph& current, std::span<const MemberId> members, Rng& rng);

// Sides for a family whose sides alternate by position among the ids in ascending order. Of the two
// ways to begin, the one that re-colours fewer of those that stay (active first at a tie).
Bipartition Alternate(const Graph& current, std::span<const MemberId> members);

}  // namespace grapevine::graph
