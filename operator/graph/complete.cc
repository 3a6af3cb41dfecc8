#include "operator/graph/complete.h"

#include <utility>

#include "operator/base/check.h"

namespace grapevine::graph {

Graph BuildComplete(std::vector<Member> members) {
  absl::StatusOr<Graph> graph = Graph::MakeComplete(std::move(members));
  GRAPEVINE_CHECK(graph.ok());
  return *std::move(graph);
}

}  // namespace grapevine::graph
