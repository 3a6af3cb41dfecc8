#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "operator/api/member.h"

namespace grapevine::graph {

using api::MemberId;

// Active members begin exchanges, passive ones answer. Edges run between the two sides only.
enum class Side : uint8_t { kActive, kPassive };

inline Side Opposite(Side side) { return side == Side::kActive ? Side::kPassive : Side::kActive; }
std::string_view SideName(Side side);  // "active", "passive"

struct Member {
  MemberId id = 0;
  Side side = Side::kActive;
  friend bool operator==(const Member&, const Member&) = default;
};

struct Edge {
  MemberId active = 0;
  MemberId passive = 0;
  friend auto operator<=>(const Edge&, const Edge&) = default;
};

// Who may exchange with whom: the members of a job with their sides, and the edges between them.
// It says nothing of epochs, addresses or pods; that is the hub's. Immutable; a copy costs what its
// members and edges cost, except that a complete graph stores no edges: all members of a side share
// one list of neighbours, so that 250,000 edges among a thousand members are held in 8 KiB.
class Graph {
 public:
  Graph() = default;  // nobody

  // Members and edges in any order. InvalidArgument where an id is 0 or appears twice, an edge is
  // named twice, or it does not run from a known active to a known passive member.
  static absl::StatusOr<Graph> Make(std::vector<Member> members, std::span<const Edge> edges);

  // Every active-passive pair.
  static absl::StatusOr<Graph> MakeComplete(std::vector<Member> members);

  // By ascending id.
  std::span<const Member> members() const { return members_; }
  size_t size() const { return members_.size(); }
  bool empty() const { return members_.empty(); }
  size_t CountOf(Side side) const;

  bool Contains(MemberId id) const { return Find(id) != nullptr; }
  // nullptr for a stranger. Valid as long as the graph. O(log n).
  const Member* Find(MemberId id) const;

  // By ascending id; empty for a stranger. Valid as long as the graph. O(log n).
  std::span<const MemberId> Neighbours(MemberId id) const;
  // The same by position in members(). O(1).
  std::span<const MemberId> NeighboursAt(size_t position) const;
  bool HasEdge(MemberId a, MemberId b) const;

  size_t edge_count() const { return edge_count_; }
  // Ascending by active, then passive member. O(edges), also for a complete graph.
  std::vector<Edge> Edges() const;

  bool IsComplete() const;

  // One line per member: "3 active: 4 8 9". For logs, debuggers and scenario tests.
  std::string Describe() const;

  friend bool operator==(const Graph& a, const Graph& b);

 private:
  struct Slice {
    uint32_t begin = 0;
    uint32_t end = 0;
  };

  std::vector<Member> members_;
  std::vector<Slice> slices_;   // of pool_, one per member
  std::vector<MemberId> pool_;  // lists of neighbours, each ascending
  size_t edge_count_ = 0;
};

}  // namespace grapevine::graph
