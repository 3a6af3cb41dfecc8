#pragma once

#include <cstdint>
#include <map>

#include "operator/base/clock.h"
#include "worker/gossip/chunk_grid.h"
#include "worker/gossip/effects.h"

namespace grapevine::gossip {

// Serves this member's state to those that join: chunk by chunk on request, so that it costs the
// donor no memory but the chunks under way and takes no lock that training needs for longer than a
// snapshot. The copy is of no single moment; averaging evens that out as it does any other
// difference between members.
//
// Pure. Thread-compatible.
class Donor {
 public:
  static constexpr size_t kSlots = 2;
  // A joiner that asks for nothing so long loses its slot.
  static constexpr Duration kIdle = 10s;

  explicit Donor(const ChunkGrid& grid) : grid_(grid) {}

  // While closed (it is copying a donor's state itself) every joiner is sent to another donor. Open
  // is where it begins.
  void SetOpen(bool open);

  // A kState* frame to a donor. False when it is garbage.
  bool OnFrame(Time now, MemberId joiner, const Header& header, Effects& effects);
  void OnLost(MemberId joiner) { joiners_.erase(joiner); }
  void Reset() { joiners_.clear(); }
  void OnTime(Time now, Effects& effects);

  size_t joiners() const { return joiners_.size(); }

 private:
  struct Slot {
    ExchangeId id;
    Time deadline;
  };

  const ChunkGrid grid_;
  bool open_ = true;
  std::map<MemberId, Slot> joiners_;
};

}  // namespace grapevine::gossip
