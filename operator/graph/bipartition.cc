#include "operator/graph/bipartition.h"

#include <algorithm>

#include "operator/base/check.h"

namespace grapevine::graph {
namespace {

std::vector<MemberId> Sorted(std::span<const MemberId> members) {
  std::vector<MemberId> sorted(members.begin(), members.end());
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

}  // namespace

Bipartition Partition(const Graph& current, std::span<const MemberId> members, Rng& rng) {
  Bipartition result;
  size_t count[2] = {0, 0};
  std::vector<size_t> joiners;
  for (MemberId id : Sorted(members)) {
    const Member* before = current.Find(id);
    if (before == nullptr) joiners.push_back(result.members.size());
    result.members.push_back(before != nullptr ? *before : Member{id, Side::kActive});
    if (before != nullptr) ++count[static_cast<int>(before->side)];
  }
  for (size_t joiner : joiners) {
    const int side = count[0] <= count[1] ? 0 : 1;
    result.members[joiner].side = static_cast<Side>(side);
    ++count[side];
  }
  while (std::max(count[0], count[1]) - std::min(count[0], count[1]) > 1) {
    const int larger = count[0] > count[1] ? 0 : 1;
    size_t skip = Below(rng, count[larger]);
    auto it = result.members.begin();
    while (static_cast<int>(it->side) != larger || skip-- > 0) ++it;
    it->side = Opposite(it->side);
    result.recoloured.push_back(it->id);
    --count[larger];
    ++count[1 - larger];
  }
  std::sort(result.recoloured.begin(), result.recoloured.end());
  return result;
}

Bipartition Alternate(const Graph& current, std::span<const MemberId> members) {
  Bipartition result;
  size_t stay = 0;
  size_t keep = 0;  // of those that stay, with active first
  for (MemberId id : Sorted(members)) {
    const Side side = result.members.size() % 2 == 0 ? Side::kActive : Side::kPassive;
    result.members.push_back({id, side});
    if (const Member* before = current.Find(id)) {
      ++stay;
      if (before->side == side) ++keep;
    }
  }
  const bool passive_first = stay - keep > keep;
  for (Member& member : result.members) {
    if (passive_first) member.side = Opposite(member.side);
    const Member* before = current.Find(member.id);
    if (before != nullptr && before->side != member.side) result.recoloured.push_back(member.id);
  }
  return result;
}

}  // namespace grapevine::graph
