#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <span>
#include <variant>

#include "operator/base/clock.h"
#include "worker/gossip/patience.h"
#include "worker/gossip/view.h"

namespace grapevine::gossip {

// The neighbours of the view and what is known of each: how long it may be silent, until when it is
// left alone, and whether the last exchange with it since finish found both models equal. Picks one
// uniformly at random of those that are not left alone; which neighbour is picked must not depend
// on its speed or its weights.
//
// Thread-compatible.
class PeerSampler {
 public:
  explicit PeerSampler(uint64_t seed) : random_(seed) {}

  // Keeps what is known of those that stay; nobody's refusal outlives the view that it was an
  // answer to.
  void SetNeighbours(std::span<const Neighbour> neighbours);

  bool Contains(MemberId peer) const { return peers_.contains(peer); }

  // A peer, or the time at which the next one may be asked (Time::max() with no neighbours). With
  // `unsettled_first`, settled neighbours are asked only when no other may be.
  std::variant<MemberId, Time> Pick(Time now, bool unsettled_first);

  Duration PatienceWith(MemberId peer) const;

  // What became of an exchange, or of the stream. Unknown peers are ignored.
  void OnCompleted(MemberId peer, Duration took);
  void OnBusy(MemberId peer, Time now);     // for about as long as its exchange should take
  void OnRefused(MemberId peer, Time now);  // its view or ours will change soon
  void OnLost(MemberId peer, Time now);     // broken stream, Abort, garbage
  void OnTimeout(MemberId peer,
                 Time now);  // silence: the hub decides within seconds whether it is dead

  void SetSettled(MemberId peer, bool settled);
  void UnsettleAll();
  bool AllSettled() const;

 private:
  struct Peer {
    Patience patience;
    Time alone_until = Time::min();
    int refusals = 0;  // in a row
    int losses = 0;    // in a row
    bool settled = false;
  };

  Peer* Find(MemberId peer);
  // Uniform in [0, 1).
  double Random();
  void LeaveAlone(Peer& peer, Time now, Duration least, Duration spread);

  std::mt19937_64 random_;
  std::map<MemberId, Peer> peers_;
};

}  // namespace grapevine::gossip
