#include "worker/gossip/donor.h"

#include <algorithm>

namespace grapevine::gossip {
namespace {

void Answer(MemberId joiner, Kind kind, const Header& asked, Effects& effects) {
  effects.list.push_back({.kind = Effect::Kind::kSend,
                          .peer = joiner,
                          .header = {.kind = kind, .exchange = asked.exchange},
                          .address = {}});
}

}  // namespace

void Donor::SetOpen(bool open) {
  open_ = open;
  if (!open) joiners_.clear();
}

bool Donor::OnFrame(Time now, MemberId joiner, const Header& header, Effects& effects) {
  if (header.exchange.active != joiner || header.payload_bytes != 0) return false;
  const auto slot = joiners_.find(joiner);
  const bool known = slot != joiners_.end() && slot->second.id == header.exchange;
  switch (header.kind) {
    case Kind::kStateOpen: {
      joiners_.erase(joiner);
      const bool accepted = open_ && joiners_.size() < kSlots;
      if (accepted) joiners_[joiner] = {.id = header.exchange, .deadline = now + kIdle};
      Answer(joiner, accepted ? Kind::kStateAccept : Kind::kStateRefuse, header, effects);
      return true;
    }
    case Kind::kStateRequest: {
      if (header.chunk >= 2 * grid_.chunks()) return false;
      if (!known) {
        Answer(joiner, Kind::kStateRefuse, header, effects);
        return true;
      }
      slot->second.deadline = now + kIdle;
      const size_t elements = grid_.ElementsOf(header.chunk % grid_.chunks());
      effects.list.push_back(
          {.kind = Effect::Kind::kSendState,
           .peer = joiner,
           .header = {.kind = Kind::kStateChunk,
                      .chunk = header.chunk,
                      .exchange = header.exchange,
                      .payload_bytes = static_cast<uint32_t>(elements * sizeof(float))},
           .address = {}});
      return true;
    }
    case Kind::kStateClose:
      if (known) joiners_.erase(slot);
      return true;
    default:
      return false;
  }
}

void Donor::OnTime(Time now, Effects& effects) {
  std::erase_if(joiners_, [now](const auto& entry) { return entry.second.deadline <= now; });
  for (const auto& [joiner, slot] : joiners_) {
    effects.wake_at = std::min(effects.wake_at, slot.deadline);
  }
}

}  // namespace grapevine::gossip
