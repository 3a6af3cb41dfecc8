#pragma once

#include <vector>

#include "operator/graph/graph.h"

namespace grapevine::graph {

// The ring of the paper: each member with the one before and the one after, ids in ascending order.
// With an odd number the closing edge would join equal sides and is left out: a path. Spectral gap
// 1 - cos(2 pi / n), about 20/n^2: for comparison, not for use with many members.
// REQUIRES: `members` ascending by id, sides alternating (see Alternate()).
Graph BuildRing(std::vector<Member> members);

}  // namespace grapevine::graph
