#pragma once

#include <string>

#include "absl/container/inlined_vector.h"
#include "operator/base/clock.h"
#include "worker/gossip/message.h"

namespace grapevine::gossip {

// One thing that the pure parts (Engine, Donor, Joiner) want done. The driver does them in order.
struct Effect {
  enum class Kind {
    // `header` to `peer`, without a payload.
    kSend,
    // Snapshot header.chunk, encode it, keep it until it is mixed or let go, and send it.
    kSendChunk,
    // Verify and mix the payload of the frame just told; answer ChunkMixed or ChunkSpoilt.
    kMix,
    // Every chunk of an exchange is mixed: counts for staleness.
    kMixedAll,
    // The exchange is over: snapshots still kept are not needed.
    kLetGo,
    // `peer` is reached at `address`.
    kSetAddress,
    // Close the stream to `peer`, unless it is a neighbour.
    kForget,
    // Send header.chunk of the state to a joiner.
    kSendState,
    // Verify and load the payload of the frame just told; answer with Joiner::OnLoaded.
    kLoad,
    // The joiner has all of the state.
    kCopied,
    // No donor served all of it.
    kCopyFailed,
  };
  Kind kind;
  MemberId peer = 0;
  Header header;
  std::string address;
};

struct Effects {
  absl::InlinedVector<Effect, 4> list;
  // When to step again if nothing happens before; `now` itself when there is more to send.
  Time wake_at = Time::max();
};

}  // namespace grapevine::gossip
