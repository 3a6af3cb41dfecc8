#pragma once

#include <cstdint>

#include "operator/base/clock.h"
#include "worker/gossip/average.h"
#include "worker/gossip/chunk_grid.h"
#include "worker/gossip/effects.h"
#include "worker/gossip/message.h"

namespace grapevine::gossip {

// One exchange as one of its two ends sees it: which chunk may be sent, which is due, when it is
// over. It holds no weights and reads no clock. An instance ends once and is then thrown away.
//
// clang-format off
//   state         what happens                     next          what it does
//   ------------  -------------------------------  ------------  ----------------------------------
//   (none)        we offer                         Offered       send Offer
//   (none)        we accept an offer               Streaming     send Accept
//   Offered       Accept                           Streaming
//   Offered       Busy | Refuse                    Ended         outcome Busy | Refused
//   Streaming     sent < chunks and                Streaming     snapshot and send chunk `sent`
//                 sent < mixed + kWindow
//   Streaming     Chunk `mixed`                    Streaming     snapshot and send it first unless
//                                                                it is sent already; restart the
//                                                                deadline; mix it
//   Streaming     mixed, and it was not the last   Streaming
//   Streaming     mixed, and it was the last       AwaitingDone  send Done
//   Streaming     spoilt: checksum, not finite     Ended         send Abort; outcome Torn
//   AwaitingDone  Done                             Ended         outcome Completed
//   any           Abort | peer lost                Ended         outcome Torn, or TimedOut before
//                                                                chunk 0 was sent
//   any           deadline passed | stopped        Ended         the same, and send Abort
//   any           any other frame: a breach        Ended         the same, and send Abort
// clang-format on
//
// Chunks go both ways in ascending order. As the peer mixes chunk k only after it sent its own, its
// Done comes behind all of its chunks, and a Done that comes before we have mixed all is a breach.
// At most kWindow chunks are sent and not mixed, and at most 2 * kWindow wait in a transport:
// memory does not grow with the model.
//
// Thread-compatible.
class Exchange {
 public:
  enum class State : uint8_t { kOffered, kStreaming, kAwaitingDone, kEnded };
  enum class Outcome : uint8_t { kNone, kCompleted, kBusy, kRefused, kTimedOut, kTorn };

  // Chunks in flight: enough to keep a loopback full while the other end mixes.
  static constexpr uint32_t kWindow = 8;

  struct Terms {
    ExchangeId id;
    MemberId peer = 0;
    Encoding encoding = Encoding::kFloat32;
    bool begun_here = false;  // we are the active side
  };

  // Sends Offer or Accept. `patience`: how long the peer may be silent.
  Exchange(const Terms& terms, const ChunkGrid& grid, Time now, Duration patience,
           Effects& effects);

  const Terms& terms() const { return terms_; }
  State state() const { return state_; }
  Outcome outcome() const { return outcome_; }
  bool ended() const { return state_ == State::kEnded; }
  Time begun_at() const { return begun_at_; }
  Time deadline() const { return deadline_; }
  const MixResult& sums() const { return sums_; }

  // A frame of this exchange from its peer. False for a breach, which has ended it.
  bool OnFrame(Time now, const Header& header, Effects& effects);
  void OnMixed(const MixResult& sums, Effects& effects);
  void OnLost();
  void GiveUp(Effects& effects);  // deadline, a spoilt chunk, the end of this member

  bool MaySend() const;
  // REQUIRES: MaySend().
  void SendChunk(Effects& effects);

 private:
  bool OnChunk(Time now, const Header& header, Effects& effects);
  void Progress(Time now) { deadline_ = now + patience_; }
  void End(Outcome outcome);
  void EndEarly();
  void Send(Kind kind, Effects& effects) const;

  const Terms terms_;
  const ChunkGrid grid_;
  const Time begun_at_;
  const Duration patience_;
  State state_;
  Outcome outcome_ = Outcome::kNone;
  Time deadline_;
  uint32_t sent_ = 0;
  uint32_t mixed_ = 0;
  bool mixing_ = false;  // chunk `mixed_` is with the driver
  MixResult sums_;
};

}  // namespace grapevine::gossip
