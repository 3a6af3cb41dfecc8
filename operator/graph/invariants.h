#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "operator/graph/graph.h"

namespace grapevine::graph {

// What every published graph must keep. `max_degree` 0 sets no bound; bipartite edges are already
// guaranteed by Graph itself and checked here again, since this is the last look before views go
// out.
struct Invariants {
  size_t max_degree = 0;
};

// Empty when all hold; otherwise one sentence per violation: an edge inside a side, sides that
// differ by more than one, members that cannot reach each other, too many neighbours.
// O(members + edges); O(members) for a complete graph.
std::vector<std::string> Violations(const Graph& graph, const Invariants& invariants);

// Ok, or Internal with all violations: whoever gets it has found a bug.
absl::Status CheckInvariants(const Graph& graph, const Invariants& invariants);

// Members in as many groups as have no path between each other; the empty graph has 0.
size_t CountComponents(const Graph& graph);

}  // namespace grapevine::graph
