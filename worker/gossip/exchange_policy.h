#pragma once

#include "worker/gossip/message.h"

namespace grapevine::gossip {

struct ExchangePolicy {
  double per_step = 1;  // exchanges that an active member owes per own step; 0: none while training
  Encoding encoding = Encoding::kFloat32;

  bool operator==(const ExchangePolicy&) const = default;
};

}  // namespace grapevine::gossip
