#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "operator/graph/graph.h"
#include "operator/graph/rng.h"

namespace grapevine::graph {

enum class Family : uint8_t { kAuto, kComplete, kRandomRegular, kRing, kExponential };
std::string_view FamilyName(Family family);  // as in the resource: "Auto", "Complete", ...
std::optional<Family> ParseFamily(std::string_view name);

struct Policy {
  Family family = Family::kAuto;
  size_t degree = 8;  // of RandomRegular, also where Auto chooses it; below 2 counts as 2
};

// Auto is Complete up to here. Having left it, it returns at kAutoReturn, so that a member that
// comes and goes at the border does not rebuild the graph each time.
inline constexpr size_t kAutoComplete = 32;
inline constexpr size_t kAutoReturn = 28;

// What turns the current graph into the next.
struct Edits {
  std::vector<MemberId> joined;
  std::vector<MemberId> left;
  std::vector<MemberId> recoloured;  // stayed, on the other side now
  std::vector<Edge> added;
  std::vector<Edge> removed;      // between members that stay; the edges of leavers go unsaid
  std::vector<MemberId> changed;  // who needs a new view: joiners, and who stayed with another
                                  // side or other neighbours
  size_t edges() const { return added.size() + removed.size(); }
  bool empty() const { return joined.empty() && left.empty() && changed.empty(); }
};

struct PlanResult {
  Graph next;
  Edits edits;
  Family family = Family::kComplete;  // never kAuto: what it chose
  std::string reason;  // "4 joined, 2 left; 3 changed side; 5 edges added, 1 removed"
};

// The graph for `members` (ids without repetition, any order and number) under `policy`. Members
// that stay keep their sides and edges as far as the family allows: Complete and RandomRegular
// re-colour only on imbalance; Ring and Exponential order by id and may re-colour everyone behind a
// leaver. A change of policy is planned like any other: edges that fit the new family are kept. The
// result keeps the invariants; a plan with nothing to do returns the graph it was given and empty
// edits.
//
// Pure. Never waits for the spectral gap: see Repair(). A join or leave among 1,000 members takes
// about 1.5 ms in a random regular graph of degree 8 and 2.5 ms in a complete one.
PlanResult Plan(const Graph& current, std::span<const MemberId> members, const Policy& policy,
                Rng& rng);

// The gap below which a random regular graph of this degree is mixed again: 0.9 (1 - 2
// sqrt(d-1)/d).
double RepairThreshold(size_t degree);

struct RepairResult {
  PlanResult plan;
  double gap_before = 0;
  double gap_after = 0;
  size_t switches = 0;
};

// Random switches (u,v),(x,y) -> (u,y),(x,v) until the gap is at the threshold again, at most
// members x degree of them; then it is what it is. Keeps sides and degrees. An epoch of its own,
// planned away from the path to the views: it computes the gap several times, milliseconds each for
// 1,000 members. nullopt when the graph is well mixed or not random regular under `policy`.
std::optional<RepairResult> Repair(const Graph& graph, const Policy& policy, Rng& rng);

// What Auto means for this many members, given the current graph.
Family Resolve(const Graph& current, size_t members, const Policy& policy);

// From `current` to `next`; used by Plan and by whoever recovers a graph. O(members + edges).
Edits Diff(const Graph& current, const Graph& next);

}  // namespace grapevine::graph
