#pragma once

#include <cstddef>
#include <vector>

#include "operator/graph/graph.h"
#include "operator/graph/rng.h"

namespace grapevine::graph {

// Random bipartite graphs of degree d, kept under joins and leaves by changing few edges:
// about 1.25 d per event, with the spectral gap of a fresh random graph (1 - 2 sqrt(d-1)/d in the
// limit: 0.34 for 8).
//
// A member wants min(d, size of the other side) neighbours. One side gets all it wants; with an odd
// number of members the larger side lacks some, spread so that degrees of a side differ by at most
// one. Where the other side has at most d members this is the complete graph.

// How many edges such a graph has.
size_t RandomRegularEdges(size_t active, size_t passive, size_t degree);

// Whether `graph` has that many, with no member above the degree.
bool IsRandomRegular(const Graph& graph, size_t degree);

// The next graph, with the sides that `members` (ascending by id) name. Edges of `current` between
// members that stay and are on opposite sides are kept as far as degrees allow. What then lacks
// neighbours is paired across the sides; a pair that is adjacent already takes a random edge
// between it (one switch); what is left on one side is levelled by moving single edges. Parts
// without a path between them are joined by switches. O(members x degree) beside the edits.
// REQUIRES: degree >= 2, sides within one.
Graph EvolveRandomRegular(const Graph& current, std::vector<Member> members, size_t degree,
                          Rng& rng);

// `count` random switches (of random edges, where the graph has any) and whatever keeps it
// connected.
Graph MixRandomRegular(const Graph& graph, size_t degree, size_t count, Rng& rng);

}  // namespace grapevine::graph
