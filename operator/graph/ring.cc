#include "operator/graph/ring.h"

#include <utility>

#include "operator/graph/chords.h"

namespace grapevine::graph {

Graph BuildRing(std::vector<Member> members) { return BuildChords(std::move(members), {1}); }

}  // namespace grapevine::graph
