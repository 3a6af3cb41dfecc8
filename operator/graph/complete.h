#pragma once

#include <vector>

#include "operator/graph/graph.h"

namespace grapevine::graph {

// Every active-passive pair: spectral gap 1 with equal sides, the best there is in a flat network
// and the one to take unless connections or memory per member must be bounded. O(members).
Graph BuildComplete(std::vector<Member> members);

}  // namespace grapevine::graph
