#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <variant>

#include "operator/base/clock.h"
#include "worker/gossip/average.h"
#include "worker/gossip/chunk_grid.h"
#include "worker/gossip/effects.h"
#include "worker/gossip/exchange.h"
#include "worker/gossip/exchange_policy.h"
#include "worker/gossip/gossip_counts.h"
#include "worker/gossip/patience.h"
#include "worker/gossip/peer_sampler.h"
#include "worker/gossip/view.h"

namespace grapevine::gossip {

// What can happen to an engine.
struct IdentityChanged {
  MemberId member = 0;
};
struct ViewChanged {
  View view;
};
struct PolicyChanged {
  ExchangePolicy policy;
};
struct StepsMade {
  uint64_t steps = 0;
};
struct BackToBackSet {
  bool on = false;
};
struct FinishBegun {};
struct IdleBegun {};  // after finish: no new exchange under this identity
struct StopBegun {};  // no new exchange from now on
struct FrameArrived {
  MemberId peer = 0;
  Header header;
};
struct ChunkMixed {
  MixResult sums;
};
struct ChunkSpoilt {};  // wrong checksum or a value that is not finite: nothing of it was mixed
struct ExchangeBarred {
};  // the owner cannot go on with it: no memory for a snapshot, or the end of its time
struct PeerLost {
  MemberId peer = 0;
};
struct PeerRejected {
  MemberId peer = 0;
};
struct Tick {};  // only time has passed

using GossipEvent =
    std::variant<IdentityChanged, ViewChanged, PolicyChanged, StepsMade, BackToBackSet, FinishBegun,
                 IdleBegun, StopBegun, FrameArrived, ChunkMixed, ChunkSpoilt, ExchangeBarred,
                 PeerLost, PeerRejected, Tick>;

struct EngineOptions {
  uint64_t seed = 0;
  ExchangePolicy policy;
  ChunkGrid grid;
  Duration least_patience = Patience::kLeast;  // with a silent peer
};

// Decides all of a member's exchanges: whom to offer to, which offers to accept, which chunk is
// next, when to give up. Pure: no clock, thread, weight or random source that was not passed in, so
// a seed and a list of events give the same effects every time.
//
// At most one exchange at a time, whoever began it. Nobody waits for a partner: an offer that
// cannot be accepted now is answered at once, so that no cycle of waiting can form whatever views
// are mixed; this is stronger than the bipartite rule of the paper (Lian et al., ICML 2018), which
// alone forbids such a cycle when all views agree.
//
// After each kMix effect, ChunkMixed or ChunkSpoilt must be the next event.
//
// Thread-compatible.
class Engine {
 public:
  explicit Engine(const EngineOptions& options);

  Effects Step(Time now, const GossipEvent& event);

  const GossipCounts& counts() const { return counts_; }
  const std::optional<Exchange>& exchange() const { return exchange_; }

  // In the view in force.
  bool HasNeighbour(MemberId peer) const { return sampler_.Contains(peer); }

  // Whether the next StepsMade can begin an exchange: while not, nobody need be woken for one.
  bool AwaitsSteps() const;

 private:
  void On(Time now, const IdentityChanged& event, Effects& effects);
  void On(Time now, const ViewChanged& event, Effects& effects);
  void On(Time now, const PolicyChanged& event, Effects& effects);
  void On(Time now, const StepsMade& event, Effects& effects);
  void On(Time now, const BackToBackSet& event, Effects& effects);
  void On(Time now, const FinishBegun& event, Effects& effects);
  void On(Time now, const IdleBegun& event, Effects& effects);
  void On(Time now, const StopBegun& event, Effects& effects);
  void On(Time now, const FrameArrived& event, Effects& effects);
  void On(Time now, const ChunkMixed& event, Effects& effects);
  void On(Time now, const ChunkSpoilt& event, Effects& effects);
  void On(Time now, const ExchangeBarred& event, Effects& effects);
  void On(Time now, const PeerLost& event, Effects& effects);
  void On(Time now, const PeerRejected& event, Effects& effects);
  void On(Time now, const Tick& event, Effects& effects);

  void JudgeOffer(Time now, const FrameArrived& event, Effects& effects);
  void JudgeStray(const FrameArrived& event, Effects& effects);
  void ApplyView(Time now, const View& view, Effects& effects);
  void ForgetRemoved(Time now, Effects& effects);

  enum class Cause { kTold, kSilence, kLoss };
  // Books the exchange, which has ended by itself or by `cause`, and takes up what waited for its
  // end.
  void Close(Time now, Cause cause, Effects& effects);
  void CountOutcome(Time now, const Exchange& exchange);
  void NotePeer(Time now, Cause cause, const Exchange& exchange);

  Duration PatienceWith(MemberId peer) const;
  bool WantsExchange() const;
  bool MayOffer() const;
  // The time at which to look again.
  Time TryOffer(Time now, Effects& effects);
  void RefreshCounts();

  const ChunkGrid grid_;
  ExchangePolicy policy_;
  const Duration least_patience_;
  MemberId member_ = 0;
  bool back_to_back_ = false;
  bool finishing_ = false;
  bool idle_ = false;
  bool stopping_ = false;
  double debt_ = 0;
  uint64_t offers_ = 0;  // the counter of the last offer
  View view_;
  std::optional<View> next_view_;  // waits for the end of the exchange
  PeerSampler sampler_;
  std::map<MemberId, Time> leaving_;  // removed neighbours, whose streams close then
  std::optional<Exchange> exchange_;
  GossipCounts counts_;
};

}  // namespace grapevine::gossip
