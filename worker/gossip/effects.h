#pragma once

#include <string>

#include "absl/container/inlined_vector.h"
#include "operator/base/clock.h"
#include "worker/gossip/message.h"

namespace grapevine::gossip {

// One thing that the pure parts (Engine, Donor, Joiner) want done. The driver does them in order.
struct Effect {
  enum class Kind {
    kSend,       // `header` to `peer`, without a payload
    kSendChunk,  // snapshot header.chunk, encode it, keep it until it is mixed or let go, and send
                 // it
    kMix,  // verify and mix the payload of the frame just told; answer ChunkMixed or ChunkSpoilt
    kMixedAll,    // every chunk of an exchange is mixed: counts for staleness
    kLetGo,       // the exchange is over: snapshots still kept are not needed
    kSetAddress,  // `peer` is reached at `address`
    kForget,      // close the stream to `peer`
    kSendState,   // send header.chunk of the state to a joiner
    kLoad,    // verify and load the payload of the frame just told; answer with Joiner::OnLoaded
    kCopied,  // the joiner has all of the state
    kCopyFailed,  // no donor served all of it
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
