#include "operator/graph/random_regular.h"

#include <algorithm>
#include <utility>

#include "operator/base/check.h"
#include "operator/graph/draft.h"

namespace grapevine::graph {
namespace {

using Position = Draft::Position;

// One evolution under way: the draft and how many neighbours each member lacks.
class Evolution {
 public:
  Evolution(std::vector<Member> members, size_t degree, Rng& rng)
      : draft_(std::move(members)), degree_(degree), rng_(rng) {}

  void Keep(const Graph& current);
  void Pair();
  void Level(Side side);
  void Mix(size_t switches);
  void Join();
  const Draft& draft() const { return draft_; }

 private:
  size_t Wanted(Position member) const {
    return std::min(degree_, draft_.Of(Opposite(draft_.SideOf(member))).size());
  }
  size_t Lack(Position member) const { return Wanted(member) - draft_.Degree(member); }
  std::vector<Position> Lacking(Side side) const;
  Position RandomOf(std::span<const Position> members) {
    return members[Below(rng_, members.size())];
  }
  void PairOne(Position active, std::vector<Position>& passive);
  void SwitchIn(Position active, Position passive);
  bool MoveEdge(Position from, Position to);

  Draft draft_;
  const size_t degree_;
  Rng& rng_;
};

void Evolution::Keep(const Graph& current) {
  std::vector<std::pair<Position, Position>> kept;
  std::vector<size_t> degrees(draft_.size());
  const std::vector<Member>& members = draft_.members();
  auto position_of = [&members](MemberId id) -> size_t {
    auto it =
        std::lower_bound(members.begin(), members.end(), id,
                         [](const Member& member, MemberId wanted) { return member.id < wanted; });
    return it != members.end() && it->id == id ? it - members.begin() : members.size();
  };
  std::vector<size_t> next_position(current.size());
  for (size_t i = 0; i < current.size(); ++i) {
    next_position[i] = position_of(current.members()[i].id);
  }
  bool too_many = false;
  for (size_t i = 0; i < current.size(); ++i) {
    if (current.members()[i].side != Side::kActive || next_position[i] == members.size()) continue;
    for (MemberId id : current.NeighboursAt(i)) {
      const size_t j = next_position[current.Find(id) - current.members().data()];
      if (j == members.size() || members[j].side == members[next_position[i]].side) continue;
      kept.emplace_back(next_position[i], j);
      too_many |= ++degrees[kept.back().first] > Wanted(kept.back().first);
      too_many |= ++degrees[kept.back().second] > Wanted(kept.back().second);
    }
  }
  if (too_many) std::shuffle(kept.begin(), kept.end(), rng_);
  for (auto [a, b] : kept) {
    if (Lack(a) > 0 && Lack(b) > 0) draft_.Connect(a, b);
  }
}

std::vector<Position> Evolution::Lacking(Side side) const {
  std::vector<Position> lacking;
  for (Position member : draft_.Of(side)) {
    if (Lack(member) > 0) lacking.push_back(member);
  }
  return lacking;
}

// Until one side has all it wants.
void Evolution::Pair() {
  std::vector<Position> active = Lacking(Side::kActive);
  std::vector<Position> passive = Lacking(Side::kPassive);
  while (!active.empty() && !passive.empty()) {
    const size_t choice = Below(rng_, active.size());
    const Position member = active[choice];
    PairOne(member, passive);
    if (Lack(member) == 0) {
      active[choice] = active.back();
      active.pop_back();
    }
  }
}

void Evolution::PairOne(Position active, std::vector<Position>& passive) {
  const size_t start = Below(rng_, passive.size());
  size_t choice = start;
  for (size_t i = 0; i < passive.size(); ++i) {
    choice = (start + i) % passive.size();
    if (!draft_.Has(active, passive[choice])) break;
  }
  const Position partner = passive[choice];
  if (draft_.Has(active, partner)) {
    SwitchIn(active, partner);
  } else {
    draft_.Connect(active, partner);
  }
  if (Lack(partner) == 0) {
    passive[choice] = passive.back();
    passive.pop_back();
  }
}

// Both lack a neighbour and are adjacent already, as is `active` with everyone who lacks one: an
// edge (b, q) becomes (active, q) and (b, passive). Any q that `active` does not know has all it
// wants, so one more neighbour than `passive`, and one of them, b, is not a neighbour of `passive`.
void Evolution::SwitchIn(Position active, Position passive) {
  const std::span<const Position> others = draft_.Of(Side::kPassive);
  const size_t start = Below(rng_, others.size());
  for (size_t i = 0; i < others.size(); ++i) {
    const Position q = others[(start + i) % others.size()];
    if (q == passive || draft_.Has(active, q)) continue;
    for (Position b : draft_.Neighbours(q)) {
      if (b == active || draft_.Has(b, passive)) continue;
      draft_.Disconnect(b, q);
      draft_.Connect(active, q);
      draft_.Connect(b, passive);
      return;
    }
  }
  GRAPEVINE_CHECK(false);
}

bool Evolution::MoveEdge(Position from, Position to) {
  const std::span<const Position> neighbours = draft_.Neighbours(from);
  const size_t start = Below(rng_, neighbours.size());
  for (size_t i = 0; i < neighbours.size(); ++i) {
    const Position neighbour = neighbours[(start + i) % neighbours.size()];
    if (draft_.Has(to, neighbour)) continue;
    draft_.Disconnect(from, neighbour);
    draft_.Connect(to, neighbour);
    return true;
  }
  return false;
}

// The one that lacks most takes an edge from a random one that lacks least, until all differ by at
// most one.
void Evolution::Level(Side side) {
  const std::span<const Position> members = draft_.Of(side);
  while (true) {
    if (members.empty()) return;
    auto by_lack = [this](Position a, Position b) { return Lack(a) < Lack(b); };
    const auto [least, most] = std::minmax_element(members.begin(), members.end(), by_lack);
    if (Lack(*most) < Lack(*least) + 2) return;
    std::vector<Position> givers;
    for (Position member : members) {
      if (Lack(member) == Lack(*least)) givers.push_back(member);
    }
    GRAPEVINE_CHECK(MoveEdge(RandomOf(givers), *most));
  }
}

void Evolution::Mix(size_t switches) {
  for (size_t i = 0; i < switches; ++i) {
    const auto [a, p] = draft_.RandomEdge(degree_, rng_);
    const auto [b, q] = draft_.RandomEdge(degree_, rng_);
    draft_.Switch(a, p, b, q);
  }
}

// Edges of two parts that are switched join them, unless taking both away cuts a part in two again;
// at least one part has a cycle, whose edges cut nothing, so that random edges find one soon.
void Evolution::Join() {
  std::vector<uint32_t> component;
  size_t components = draft_.Components(component);
  while (components > 1) {
    const auto [a, p] = draft_.RandomEdge(degree_, rng_);
    const auto [b, q] = draft_.RandomEdge(degree_, rng_);
    if (component[a] == component[b] || !draft_.Switch(a, p, b, q)) continue;
    std::vector<uint32_t> after;
    const size_t count = draft_.Components(after);
    if (count < components) {
      components = count;
      component = std::move(after);
    } else {
      GRAPEVINE_CHECK(draft_.Switch(a, q, b, p));
    }
  }
}

}  // namespace

size_t RandomRegularEdges(size_t active, size_t passive, size_t degree) {
  return std::min(active * std::min(degree, passive), passive * std::min(degree, active));
}

bool IsRandomRegular(const Graph& graph, size_t degree) {
  const size_t active = graph.CountOf(Side::kActive);
  if (graph.edge_count() != RandomRegularEdges(active, graph.size() - active, degree)) return false;
  for (size_t i = 0; i < graph.size(); ++i) {
    if (graph.NeighboursAt(i).size() > degree) return false;
  }
  return true;
}

Graph EvolveRandomRegular(const Graph& current, std::vector<Member> members, size_t degree,
                          Rng& rng) {
  GRAPEVINE_CHECK(degree >= 2);
  Evolution evolution(std::move(members), degree, rng);
  evolution.Keep(current);
  evolution.Pair();
  evolution.Level(Side::kActive);
  evolution.Level(Side::kPassive);
  if (evolution.draft().size() > 1) evolution.Join();
  return evolution.draft().Freeze();
}

Graph MixRandomRegular(const Graph& graph, size_t degree, size_t count, Rng& rng) {
  Evolution evolution(std::vector<Member>(graph.members().begin(), graph.members().end()), degree,
                      rng);
  evolution.Keep(graph);
  evolution.Mix(count);
  evolution.Join();
  return evolution.draft().Freeze();
}

}  // namespace grapevine::graph
