#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "worker/gossip/message.h"

namespace grapevine::gossip {

enum class Side : uint8_t { kActive, kPassive };

struct Neighbour {
  MemberId member = 0;
  std::string address;

  bool operator==(const Neighbour&) const = default;
};

// What one member is told: which side it is on and with whom it may exchange. Only `epoch` says
// which of two views of the hub's is newer; epochs of different members are never compared.
struct View {
  uint64_t epoch = 0;
  Side side = Side::kPassive;
  std::vector<Neighbour> neighbours;

  bool operator==(const View&) const = default;
};

}  // namespace grapevine::gossip
