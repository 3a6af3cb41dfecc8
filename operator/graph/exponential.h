#pragma once

#include <vector>

#include "operator/graph/graph.h"

namespace grapevine::graph {

// The paper's exponential graph: ids in ascending order on a circle, each member with those 2^i + 1
// places on, i = 0..log2(n-1), where i = 0 stands for the next one (read literally, its two places
// would join equal sides). All hops are odd, so with an even number every edge crosses the sides;
// with an odd one the edges that wrap around do not, and are left out. Degree about 2 log2 n;
// spectral gap 0.43 at n = 256. REQUIRES: `members` ascending by id, sides alternating (see
// Alternate()).
Graph BuildExponential(std::vector<Member> members);

}  // namespace grapevine::graph
