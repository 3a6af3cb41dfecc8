#include "operator/graph/invariants.h"

#include <algorithm>
#include <numeric>

#include "fmt/format.h"

namespace grapevine::graph {

size_t CountComponents(const Graph& graph) {
  if (graph.IsComplete()) {
    const bool both_sides = graph.CountOf(Side::kActive) > 0 && graph.CountOf(Side::kPassive) > 0;
    return both_sides ? 1 : graph.size();
  }
  const Member* first = graph.members().data();
  std::vector<size_t> reached_from(graph.size(), 0);
  std::vector<size_t> frontier;
  size_t components = 0;
  for (size_t start = 0; start < graph.size(); ++start) {
    if (reached_from[start] != 0) continue;
    reached_from[start] = ++components;
    frontier.assign(1, start);
    while (!frontier.empty()) {
      const size_t position = frontier.back();
      frontier.pop_back();
      for (MemberId id : graph.NeighboursAt(position)) {
        const size_t neighbour = graph.Find(id) - first;
        if (reached_from[neighbour] != 0) continue;
        reached_from[neighbour] = components;
        frontier.push_back(neighbour);
      }
    }
  }
  return components;
}

std::vector<std::string> Violations(const Graph& graph, const Invariants& invariants) {
  std::vector<std::string> violations;
  const size_t active = graph.CountOf(Side::kActive);
  const size_t passive = graph.size() - active;
  if (std::max(active, passive) - std::min(active, passive) > 1) {
    violations.push_back(
        fmt::format("{} active and {} passive members differ by more than one", active, passive));
  }
  const bool complete = graph.IsComplete();  // then edges cross by construction
  for (size_t i = 0; i < graph.size(); ++i) {
    const Member& member = graph.members()[i];
    const size_t degree = graph.NeighboursAt(i).size();
    if (invariants.max_degree > 0 && degree > invariants.max_degree) {
      violations.push_back(fmt::format("member {} has {} neighbours, {} are allowed", member.id,
                                       degree, invariants.max_degree));
    }
    if (complete) continue;
    for (MemberId id : graph.NeighboursAt(i)) {
      const Member* neighbour = graph.Find(id);
      if (neighbour == nullptr || neighbour->side == member.side) {
        violations.push_back(fmt::format("edge {}-{} does not cross the sides", member.id, id));
      }
    }
  }
  if (const size_t components = CountComponents(graph); components > 1) {
    violations.push_back(fmt::format("the graph falls into {} parts", components));
  }
  return violations;
}

absl::Status CheckInvariants(const Graph& graph, const Invariants& invariants) {
  const std::vector<std::string> violations = Violations(graph, invariants);
  if (violations.empty()) return absl::OkStatus();
  return absl::InternalError(fmt::format("{}", fmt::join(violations, "; ")));
}

}  // namespace grapevine::graph
