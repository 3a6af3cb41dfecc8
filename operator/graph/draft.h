#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "operator/graph/graph.h"
#include "operator/graph/rng.h"

namespace grapevine::graph {

// A graph of bounded degree while it is being changed. Members are named by their position. Finding
// an edge costs the smaller degree, so this is for degrees in the tens. Thread-compatible.
class Draft {
 public:
  using Position = uint32_t;

  explicit Draft(std::vector<Member> members);

  const std::vector<Member>& members() const { return members_; }
  size_t size() const { return members_.size(); }
  Side SideOf(Position member) const { return members_[member].side; }
  std::span<const Position> Of(Side side) const;  // ascending
  std::span<const Position> Neighbours(Position member) const { return neighbours_[member]; }
  size_t Degree(Position member) const { return neighbours_[member].size(); }
  bool Has(Position a, Position b) const;

  void Connect(Position a, Position b);     // REQUIRES: no such edge, other sides
  void Disconnect(Position a, Position b);  // REQUIRES: the edge

  // Edges (a, p) and (b, q) become (a, q) and (b, p): sides and degrees stay. False, and nothing
  // done, unless these are two edges without a shared end and the new ones do not exist. REQUIRES:
  // a, b active.
  bool Switch(Position a, Position p, Position b, Position q);

  // A uniformly random edge, as (active, passive). REQUIRES: at least one edge, degrees at most
  // `max_degree`. Expected constant time where degrees are nearly equal.
  std::pair<Position, Position> RandomEdge(size_t max_degree, Rng& rng) const;

  // The component of each member, from 0; returns their number.
  size_t Components(std::vector<uint32_t>& component) const;

  Graph Freeze() const;

 private:
  std::vector<Member> members_;
  std::vector<Position> of_side_[2];
  std::vector<std::vector<Position>> neighbours_;
};

}  // namespace grapevine::graph
