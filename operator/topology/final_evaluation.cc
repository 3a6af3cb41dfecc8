#include "operator/topology/final_evaluation.h"

#include <algorithm>

#include "operator/base/check.h"

namespace grapevine::topology {

FinalEvaluation::FinalEvaluation(MemberId finalizer, int64_t samples,
                                 const std::set<MemberId>& members)
    : finalizer_(finalizer), samples_(samples), members_(members) {
  GRAPEVINE_CHECK(samples >= 1 && members.contains(finalizer));
  const bool alone = members.size() == 1;
  const int64_t wanted = alone ? 1 : kSlicesPerMember * static_cast<int64_t>(members.size());
  const int64_t slices = std::clamp<int64_t>(samples / kLeastSlice, 1, wanted);
  for (int64_t i = 0; i < slices; ++i) {
    free_.push_back({samples / slices * i + std::min(i, samples % slices),
                     samples / slices * (i + 1) + std::min(i + 1, samples % slices)});
  }
}

std::optional<FinalEvaluation::Slice> FinalEvaluation::Take(MemberId member) {
  if (!members_.contains(member) || taken_.contains(member)) return std::nullopt;
  if (!free_.empty()) {
    const Slice slice = free_.front();
    free_.pop_front();
    taken_[member] = slice;
    return slice;
  }
  if (member != finalizer_) return std::nullopt;
  for (const auto& [other, slice] : taken_) {
    if (done_.contains(slice.first)) continue;
    return taken_[member] = slice;
  }
  return std::nullopt;
}

bool FinalEvaluation::Answer(MemberId member, double loss_sum, int64_t correct) {
  auto it = taken_.find(member);
  if (it == taken_.end()) return false;
  const Slice slice = it->second;
  taken_.erase(it);
  if (!done_.insert(slice.first).second) return true;
  evaluated_ += slice.end - slice.first;
  loss_ += loss_sum;
  correct_ += correct;
  return true;
}

void FinalEvaluation::Remove(MemberId member) {
  members_.erase(member);
  auto it = taken_.find(member);
  if (it == taken_.end()) return;
  const Slice slice = it->second;
  taken_.erase(it);
  const bool elsewhere =
      std::ranges::any_of(taken_, [&](const auto& other) { return other.second == slice; });
  if (!elsewhere && !done_.contains(slice.first)) free_.push_front(slice);
}

std::optional<FinalEvaluation::Slice> FinalEvaluation::TakenBy(MemberId member) const {
  auto it = taken_.find(member);
  return it == taken_.end() ? std::nullopt : std::optional(it->second);
}

}  // namespace grapevine::topology
