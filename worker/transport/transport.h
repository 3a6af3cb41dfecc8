#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "operator/base/clock.h"
#include "worker/gossip/message.h"

namespace grapevine::transport {

using gossip::MemberId;

// Who this end is. Peers whose job, layout or idea of the receiver's id differ are refused.
struct Identity {
  std::string job_uid;
  MemberId member = 0;
  uint64_t layout_hash = 0;

  bool operator==(const Identity&) const = default;
};

// Bytes that nobody copies and nobody changes while `owner` lives. Received payloads come in pieces
// cut at arbitrary offsets, so an element may straddle two of them.
struct Payload {
  std::vector<std::span<const std::byte>> pieces;
  std::shared_ptr<const void> owner;

  size_t size() const {
    size_t bytes = 0;
    for (const auto& piece : pieces) bytes += piece.size();
    return bytes;
  }
};

struct Frame {
  gossip::Header header;
  Payload payload;
};

struct Event {
  enum class Kind {
    kFrame,     // the frame is well-formed; its checksum has not been verified
    kPeerLost,  // stream broken, refused or never opened; frames not yet sent are gone
    kRejected,  // bytes of `peer` (0: unknown) were malformed, oversized or of a foreign job; its
                // stream is closed
  };
  Kind kind;
  MemberId peer = 0;
  Frame frame;
  std::string reason;
};

// Payload and header bytes on the wire since the start.
struct Traffic {
  int64_t bytes_sent = 0;
  int64_t bytes_received = 0;
};

// Frames between the members of a job: ordered and whole per peer and direction while the link
// lasts, lost together when it breaks. At most one stream per pair and opener; a Send to a peer
// that has opened one to us uses it. Shipped twice: in_process (members that are threads) and grpc.
//
// Lives on the gossip thread, except where a method says otherwise. The thread that polls does the
// transport's work: there is no other thread on the bulk path, and nothing moves without Poll.
class Transport {
 public:
  virtual ~Transport() = default;

  // host:port (or a name of the in-process switch) where peers reach this end. Thread-safe.
  virtual const std::string& address() const = 0;

  // Closes every stream, without kPeerLost, and speaks as `identity` from then on. Before the first
  // call no stream is accepted.
  virtual void SetIdentity(const Identity& identity) = 0;

  // Where `peer` is dialled when a Send finds no stream to it. A changed address closes the old
  // one; the first leaves a stream that the peer has opened as it is.
  virtual void SetAddress(MemberId peer, const std::string& address) = 0;

  // Closes the stream to `peer` and forgets its address; no kPeerLost comes.
  virtual void Forget(MemberId peer) = 0;

  // Queues the frame; never waits. Failure comes as kPeerLost. The payload's owner is let go once
  // its bytes have left, which may be long after.
  virtual void Send(MemberId peer, Frame frame) = 0;

  // Appends what happened to `events`; returns at the first happening, at `deadline`, or after
  // Wake.
  virtual void Poll(Time deadline, std::vector<Event>& events) = 0;

  // Makes the Poll under way, or else the next one, return at once. Thread-safe.
  virtual void Wake() = 0;

  // Thread-safe.
  virtual Traffic traffic() const = 0;
};

}  // namespace grapevine::transport
