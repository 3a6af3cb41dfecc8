#include "operator/graph/chords.h"

#include <algorithm>
#include <utility>

#include "operator/base/check.h"

namespace grapevine::graph {

Graph BuildChords(std::vector<Member> members, const std::vector<size_t>& hops) {
  std::vector<Edge> edges;
  for (size_t i = 0; i < members.size(); ++i) {
    for (size_t hop : hops) {
      const Member& from = members[i];
      const Member& to = members[(i + hop) % members.size()];
      if (from.side == to.side) continue;
      edges.push_back(from.side == Side::kActive ? Edge{from.id, to.id} : Edge{to.id, from.id});
    }
  }
  std::sort(edges.begin(), edges.end());
  edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
  absl::StatusOr<Graph> graph = Graph::Make(std::move(members), edges);
  GRAPEVINE_CHECK(graph.ok());
  return *std::move(graph);
}

}  // namespace grapevine::graph
