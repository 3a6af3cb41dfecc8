#include "operator/graph/graph.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "fmt/format.h"

namespace grapevine::graph {
namespace {

absl::Status SortAndCheck(std::vector<Member>& members) {
  std::sort(members.begin(), members.end(),
            [](const Member& a, const Member& b) { return a.id < b.id; });
  for (size_t i = 0; i < members.size(); ++i) {
    if (members[i].id == 0) return absl::InvalidArgumentError("member id 0 names nobody");
    if (i > 0 && members[i].id == members[i - 1].id) {
      return absl::InvalidArgumentError(fmt::format("member {} appears twice", members[i].id));
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::string_view SideName(Side side) { return side == Side::kActive ? "active" : "passive"; }

absl::StatusOr<Graph> Graph::MakeComplete(std::vector<Member> members) {
  if (absl::Status status = SortAndCheck(members); !status.ok()) return status;
  Graph graph;
  graph.members_ = std::move(members);
  for (Side side : {Side::kPassive, Side::kActive}) {
    for (const Member& member : graph.members_) {
      if (member.side == side) graph.pool_.push_back(member.id);
    }
  }
  const auto passive = static_cast<uint32_t>(graph.CountOf(Side::kPassive));
  const auto all = static_cast<uint32_t>(graph.members_.size());
  for (const Member& member : graph.members_) {
    graph.slices_.push_back(member.side == Side::kActive ? Slice{0, passive} : Slice{passive, all});
  }
  graph.edge_count_ = size_t{passive} * (all - passive);
  return graph;
}

absl::StatusOr<Graph> Graph::Make(std::vector<Member> members, std::span<const Edge> edges) {
  if (absl::Status status = SortAndCheck(members); !status.ok()) return status;
  Graph graph;
  graph.members_ = std::move(members);
  std::vector<std::pair<uint32_t, uint32_t>> positions;
  positions.reserve(edges.size());
  std::vector<uint32_t> degrees(graph.members_.size());
  for (const Edge& edge : edges) {
    const Member* active = graph.Find(edge.active);
    const Member* passive = graph.Find(edge.passive);
    if (active == nullptr || passive == nullptr || active->side != Side::kActive ||
        passive->side != Side::kPassive) {
      return absl::InvalidArgumentError(fmt::format(
          "edge {}-{} does not run from an active to a passive member", edge.active, edge.passive));
    }
    positions.emplace_back(active - graph.members_.data(), passive - graph.members_.data());
    ++degrees[positions.back().first];
    ++degrees[positions.back().second];
  }
  graph.edge_count_ = edges.size();
  graph.slices_.resize(graph.members_.size());
  uint32_t begin = 0;
  for (size_t i = 0; i < degrees.size(); ++i) {
    graph.slices_[i] = {begin, begin};
    begin += degrees[i];
  }
  graph.pool_.resize(begin);
  for (auto [active, passive] : positions) {
    graph.pool_[graph.slices_[active].end++] = graph.members_[passive].id;
    graph.pool_[graph.slices_[passive].end++] = graph.members_[active].id;
  }
  for (size_t i = 0; i < graph.slices_.size(); ++i) {
    const auto first = graph.pool_.begin() + graph.slices_[i].begin;
    const auto last = graph.pool_.begin() + graph.slices_[i].end;
    std::sort(first, last);
    if (auto twice = std::adjacent_find(first, last); twice != last) {
      return absl::InvalidArgumentError(
          fmt::format("edge {}-{} appears twice", graph.members_[i].id, *twice));
    }
  }
  if (graph.IsComplete()) return MakeComplete(std::move(graph.members_));
  return graph;
}

size_t Graph::CountOf(Side side) const {
  return std::count_if(members_.begin(), members_.end(),
                       [side](const Member& member) { return member.side == side; });
}

const Member* Graph::Find(MemberId id) const {
  auto it =
      std::lower_bound(members_.begin(), members_.end(), id,
                       [](const Member& member, MemberId wanted) { return member.id < wanted; });
  return it != members_.end() && it->id == id ? &*it : nullptr;
}

std::span<const MemberId> Graph::Neighbours(MemberId id) const {
  const Member* member = Find(id);
  if (member == nullptr) return {};
  return NeighboursAt(member - members_.data());
}

std::span<const MemberId> Graph::NeighboursAt(size_t position) const {
  const Slice slice = slices_[position];
  return std::span(pool_).subspan(slice.begin, slice.end - slice.begin);
}

bool Graph::HasEdge(MemberId a, MemberId b) const {
  const std::span<const MemberId> neighbours = Neighbours(a);
  return std::binary_search(neighbours.begin(), neighbours.end(), b);
}

std::vector<Edge> Graph::Edges() const {
  std::vector<Edge> edges;
  edges.reserve(edge_count_);
  for (size_t i = 0; i < members_.size(); ++i) {
    if (members_[i].side != Side::kActive) continue;
    for (MemberId passive : NeighboursAt(i)) edges.push_back({members_[i].id, passive});
  }
  return edges;
}

bool Graph::IsComplete() const {
  const size_t active = CountOf(Side::kActive);
  return edge_count_ == active * (members_.size() - active);
}

std::string Graph::Describe() const {
  if (empty()) return "nobody\n";
  std::string text;
  for (size_t i = 0; i < members_.size(); ++i) {
    const std::span<const MemberId> neighbours = NeighboursAt(i);
    text += fmt::format("{} {}:{}{}\n", members_[i].id, SideName(members_[i].side),
                        neighbours.empty() ? "" : " ",
                        fmt::join(neighbours.begin(), neighbours.end(), " "));
  }
  return text;
}

bool operator==(const Graph& a, const Graph& b) {
  if (a.members_ != b.members_ || a.edge_count_ != b.edge_count_) return false;
  if (a.IsComplete()) return true;
  for (size_t i = 0; i < a.members_.size(); ++i) {
    if (!std::ranges::equal(a.NeighboursAt(i), b.NeighboursAt(i))) return false;
  }
  return true;
}

}  // namespace grapevine::graph
