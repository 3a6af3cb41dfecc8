#pragma once

#include <cstddef>
#include <vector>

#include "operator/graph/graph.h"

namespace grapevine::graph {

// Members on a circle in the order given, each joined to those `hops` places on; edges between
// equal sides are left out, and one that two hops name is made once. What Ring and Exponential are
// made of.
Graph BuildChords(std::vector<Member> members, const std::vector<size_t>& hops);

}  // namespace grapevine::graph
