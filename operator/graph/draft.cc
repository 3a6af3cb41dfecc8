#include "operator/graph/draft.h"

#include <algorithm>
#include <utility>

#include "operator/base/check.h"

namespace grapevine::graph {

Draft::Draft(std::vector<Member> members)
    : members_(std::move(members)), neighbours_(members_.size()) {
  for (Position i = 0; i < members_.size(); ++i) {
    of_side_[static_cast<int>(members_[i].side)].push_back(i);
  }
}

std::span<const Draft::Position> Draft::Of(Side side) const {
  return of_side_[static_cast<int>(side)];
}

bool Draft::Has(Position a, Position b) const {
  if (Degree(a) > Degree(b)) std::swap(a, b);
  return std::ranges::find(neighbours_[a], b) != neighbours_[a].end();
}

void Draft::Connect(Position a, Position b) {
  GRAPEVINE_CHECK(SideOf(a) != SideOf(b));
  neighbours_[a].push_back(b);
  neighbours_[b].push_back(a);
}

void Draft::Disconnect(Position a, Position b) {
  for (auto [from, to] : {std::pair(a, b), std::pair(b, a)}) {
    auto it = std::ranges::find(neighbours_[from], to);
    GRAPEVINE_CHECK(it != neighbours_[from].end());
    *it = neighbours_[from].back();
    neighbours_[from].pop_back();
  }
}

bool Draft::Switch(Position a, Position p, Position b, Position q) {
  if (a == b || p == q || Has(a, q) || Has(b, p) || !Has(a, p) || !Has(b, q)) return false;
  Disconnect(a, p);
  Disconnect(b, q);
  Connect(a, q);
  Connect(b, p);
  return true;
}

std::pair<Draft::Position, Draft::Position> Draft::RandomEdge(size_t max_degree, Rng& rng) const {
  const std::span<const Position> active = Of(Side::kActive);
  while (true) {
    // Members are equally likely and keep their share of `max_degree` draws: edges are equally
    // likely.
    const Position a = active[Below(rng, active.size())];
    const size_t draw = Below(rng, max_degree);
    if (draw < Degree(a)) return {a, neighbours_[a][draw]};
  }
}

size_t Draft::Components(std::vector<uint32_t>& component) const {
  constexpr uint32_t kUnseen = ~uint32_t{0};
  component.assign(size(), kUnseen);
  std::vector<Position> frontier;
  uint32_t components = 0;
  for (Position start = 0; start < size(); ++start) {
    if (component[start] != kUnseen) continue;
    component[start] = components;
    frontier.assign(1, start);
    while (!frontier.empty()) {
      const Position at = frontier.back();
      frontier.pop_back();
      for (Position neighbour : neighbours_[at]) {
        if (component[neighbour] != kUnseen) continue;
        component[neighbour] = components;
        frontier.push_back(neighbour);
      }
    }
    ++components;
  }
  return components;
}

Graph Draft::Freeze() const {
  std::vector<Edge> edges;
  for (Position a : Of(Side::kActive)) {
    for (Position p : neighbours_[a]) edges.push_back({members_[a].id, members_[p].id});
  }
  absl::StatusOr<Graph> graph = Graph::Make(members_, edges);
  GRAPEVINE_CHECK(graph.ok());
  return *std::move(graph);
}

}  // namespace grapevine::graph
