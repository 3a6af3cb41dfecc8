#include "operator/graph/planner.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "fmt/format.h"
#include "operator/graph/bipartition.h"
#include "operator/graph/complete.h"
#include "operator/graph/exponential.h"
#include "operator/graph/mixing.h"
#include "operator/graph/random_regular.h"
#include "operator/graph/ring.h"

namespace grapevine::graph {
namespace {

constexpr std::pair<Family, std::string_view> kNames[] = {
    {Family::kAuto, "Auto"},
    {Family::kComplete, "Complete"},
    {Family::kRandomRegular, "RandomRegular"},
    {Family::kRing, "Ring"},
    {Family::kExponential, "Exponential"},
};

size_t DegreeOf(const Policy& policy) { return std::max<size_t>(policy.degree, 2); }

Graph Build(Family family, const Graph& current, std::span<const MemberId> members,
            const Policy& policy, Rng& rng) {
  switch (family) {
    case Family::kRing:
      return BuildRing(Alternate(current, members).members);
    case Family::kExponential:
      return BuildExponential(Alternate(current, members).members);
    case Family::kRandomRegular:
      return EvolveRandomRegular(current, Partition(current, members, rng).members,
                                 DegreeOf(policy), rng);
    case Family::kAuto:  // resolved before
    case Family::kComplete:
      break;
  }
  return BuildComplete(Partition(current, members, rng).members);
}

// "3", "3 and 4", "3, 4 and 5"; "17 members" beyond what one reads.
std::string NameSome(const std::vector<MemberId>& members) {
  constexpr size_t kNamed = 5;
  if (members.size() > kNamed) return fmt::format("{} members", members.size());
  std::string text;
  for (size_t i = 0; i < members.size(); ++i) {
    const bool last = i + 1 == members.size();
    text += fmt::format("{}{}", i == 0 ? "" : (last ? " and " : ", "), members[i]);
  }
  return text;
}

std::string Explain(const PlanResult& plan) {
  const Edits& edits = plan.edits;
  std::string text;
  auto say = [&text](std::string_view separator, std::string_view sentence) {
    text += fmt::format("{}{}", text.empty() ? "" : separator, sentence);
  };
  if (!edits.joined.empty()) say(", ", NameSome(edits.joined) + " joined");
  if (!edits.left.empty()) say(", ", NameSome(edits.left) + " left");
  if (!edits.recoloured.empty()) {
    say("; ", fmt::format("{} changed {}", NameSome(edits.recoloured),
                          edits.recoloured.size() == 1 ? "side" : "sides"));
  }
  if (!edits.added.empty() || !edits.removed.empty()) {
    say("; ", fmt::format("{} {} added, {} removed", edits.added.size(),
                          edits.added.size() == 1 ? "edge" : "edges", edits.removed.size()));
  }
  return text.empty() ? "nothing to change" : text;
}

// Calls `on_added(a, b)` for a, b in `next` that are adjacent there and not in `current`, a < b.
template <typename OnAdded>
void ForEachNewEdge(const Graph& current, const Graph& next, OnAdded on_added) {
  std::vector<MemberId> fresh;
  for (size_t i = 0; i < next.size(); ++i) {
    const MemberId id = next.members()[i].id;
    const std::span<const MemberId> now = next.NeighboursAt(i);
    const std::span<const MemberId> before = current.Neighbours(id);
    fresh.clear();
    std::ranges::set_difference(now, before, std::back_inserter(fresh));
    for (MemberId other : fresh) {
      if (id < other) on_added(id, other);
    }
  }
}

Edge Oriented(const Graph& graph, MemberId a, MemberId b) {
  return graph.Find(a)->side == Side::kActive ? Edge{a, b} : Edge{b, a};
}

}  // namespace

std::string_view FamilyName(Family family) { return kNames[static_cast<int>(family)].second; }

std::optional<Family> ParseFamily(std::string_view name) {
  for (const auto& [family, family_name] : kNames) {
    if (family_name == name) return family;
  }
  return std::nullopt;
}

Family Resolve(const Graph& current, size_t members, const Policy& policy) {
  if (policy.family != Family::kAuto) return policy.family;
  if (members > kAutoComplete) return Family::kRandomRegular;
  const bool was_regular = !current.IsComplete() && IsRandomRegular(current, DegreeOf(policy));
  return was_regular && members > kAutoReturn ? Family::kRandomRegular : Family::kComplete;
}

Edits Diff(const Graph& current, const Graph& next) {
  Edits edits;
  for (const Member& member : current.members()) {
    if (!next.Contains(member.id)) edits.left.push_back(member.id);
  }
  for (size_t i = 0; i < next.size(); ++i) {
    const Member& member = next.members()[i];
    const Member* before = current.Find(member.id);
    const bool recoloured = before != nullptr && before->side != member.side;
    if (before == nullptr) edits.joined.push_back(member.id);
    if (recoloured) edits.recoloured.push_back(member.id);
    if (before == nullptr || recoloured ||
        !std::ranges::equal(next.NeighboursAt(i), current.Neighbours(member.id))) {
      edits.changed.push_back(member.id);
    }
  }
  ForEachNewEdge(current, next,
                 [&](MemberId a, MemberId b) { edits.added.push_back(Oriented(next, a, b)); });
  ForEachNewEdge(next, current, [&](MemberId a, MemberId b) {
    if (next.Contains(a) && next.Contains(b)) edits.removed.push_back(Oriented(current, a, b));
  });
  std::sort(edits.added.begin(), edits.added.end());
  std::sort(edits.removed.begin(), edits.removed.end());
  return edits;
}

PlanResult Plan(const Graph& current, std::span<const MemberId> members, const Policy& policy,
                Rng& rng) {
  PlanResult result;
  result.family = Resolve(current, members.size(), policy);
  result.next = Build(result.family, current, members, policy, rng);
  result.edits = Diff(current, result.next);
  result.reason = Explain(result);
  return result;
}

double RepairThreshold(size_t degree) {
  const auto d = static_cast<double>(std::max<size_t>(degree, 2));
  return 0.9 * (1 - 2 * std::sqrt(d - 1) / d);
}

std::optional<RepairResult> Repair(const Graph& graph, const Policy& policy, Rng& rng) {
  if (Resolve(graph, graph.size(), policy) != Family::kRandomRegular || graph.size() < 2) {
    return std::nullopt;
  }
  const size_t degree = DegreeOf(policy);
  const double threshold = RepairThreshold(degree);
  RepairResult result;
  result.gap_before = result.gap_after = SpectralGap(graph);
  if (result.gap_before >= threshold || !IsRandomRegular(graph, degree)) return std::nullopt;
  result.plan.family = Family::kRandomRegular;
  result.plan.next = graph;
  const size_t budget = graph.size() * degree;
  const size_t round = std::max<size_t>(graph.size() / 4, 1);
  while (result.switches < budget && result.gap_after < threshold) {
    const size_t count = std::min(round, budget - result.switches);
    result.plan.next = MixRandomRegular(result.plan.next, degree, count, rng);
    result.switches += count;
    result.gap_after = SpectralGap(result.plan.next);
  }
  result.plan.edits = Diff(graph, result.plan.next);
  result.plan.reason =
      fmt::format("spectral gap {:.3f} below {:.3f}: {} random switches, now {:.3f}",
                  result.gap_before, threshold, result.switches, result.gap_after);
  return result;
}

}  // namespace grapevine::graph
