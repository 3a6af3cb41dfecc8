#pragma once

#include <cstdint>
#include <vector>

#include "operator/base/clock.h"
#include "worker/gossip/chunk_grid.h"
#include "worker/gossip/effects.h"
#include "worker/gossip/view.h"

namespace grapevine::gossip {

// Copies the state of one donor: first all weights, then all momentum, in order. Whatever goes
// wrong with a donor (slots taken, silence, a broken stream, a bad chunk), the next one is asked
// and begins at the start, so that the copy is of one donor alone. Donors that are busy with other
// joiners refuse: a round in which any did is followed by another, after a pause that doubles from
// kFirstPause to kLongestPause, but none begins later than kRounds after Start.
//
// clang-format off
//   state    what happens                         next
//   -------  -----------------------------------  ------------------------------------------------
//   Idle     Start                                Asking the first donor, or Idle and kCopyFailed
//   Asking   StateAccept                          Copying; the first kAhead chunks are requested
//   Copying  StateChunk, the next in order        Copying; load it, and then request one more
//   Copying  the last chunk is loaded             Idle and kCopied; StateClose
//   both     StateRefuse, deadline, lost,         Asking the next donor, Pausing, or Idle and
//            garbage, a chunk that is not sound   kCopyFailed; StateClose to the one given up
//   Pausing  the pause is over                    Asking the first donor
// clang-format on
//
// At the end every donor is to be forgotten: kForget, before kCopied or kCopyFailed.
//
// Pure. Thread-compatible.
class Joiner {
 public:
  // Requests out: enough for the donor to snapshot while the last chunks are on their way.
  static constexpr uint32_t kAhead = 4;
  // How long a donor may be silent.
  static constexpr Duration kSilence = 2s;
  static constexpr Duration kFirstPause = 100ms;
  static constexpr Duration kLongestPause = 2s;
  static constexpr Duration kRounds = 30s;

  explicit Joiner(const ChunkGrid& grid) : grid_(grid) {}

  bool active() const { return state_ != State::kIdle; }

  // REQUIRES: !active().
  void Start(Time now, MemberId self, std::vector<Neighbour> donors, Effects& effects);

  // A kState* frame to a joiner. False when it is garbage. After kLoad, OnLoaded must be next.
  bool OnFrame(Time now, MemberId donor, const Header& header, Effects& effects);
  void OnLoaded(Time now, bool sound, Effects& effects);
  void OnLost(Time now, MemberId donor, Effects& effects);
  void OnTime(Time now, Effects& effects);

  // Gives up without a word: the member stops or takes a new identity.
  void Cancel() { state_ = State::kIdle; }

 private:
  enum class State : uint8_t { kIdle, kAsking, kCopying, kPausing };

  // REQUIRES: kAsking or kCopying.
  MemberId donor() const { return donors_[next_donor_ - 1].member; }
  bool IsAt(MemberId donor) const;
  bool Concerns(MemberId donor, const Header& header) const;
  void AskNext(Time now, Effects& effects);
  void EndRound(Time now, Effects& effects);
  void End(Effect::Kind outcome, Effects& effects);
  void GiveUpDonor(Time now, Effects& effects);
  void Request(Effects& effects);
  void Send(Kind kind, uint32_t chunk, Effects& effects) const;

  const ChunkGrid grid_;
  State state_ = State::kIdle;
  std::vector<Neighbour> donors_;
  size_t next_donor_ = 0;
  bool refused_ = false;  // in this round, by any
  Duration pause_{};      // after this round
  Time last_round_;       // none begins later
  ExchangeId id_;
  Time deadline_;
  uint32_t requested_ = 0;
  uint32_t loaded_ = 0;
};

}  // namespace grapevine::gossip
