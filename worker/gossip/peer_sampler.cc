#include "worker/gossip/peer_sampler.h"

#include <algorithm>
#include <vector>

namespace grapevine::gossip {
namespace {

constexpr Duration kBusyLeast = 200us;
constexpr Duration kBusyMost = 100ms;
constexpr Duration kRefusedFirst = 20ms;
constexpr Duration kRefusedMost = 1s;
constexpr Duration kLostFirst = 200ms;
constexpr Duration kLostMost = 5s;
// As long as a silent member can stay in the roster, so that one that is stopped costs one timeout.
constexpr Duration kTimeoutAlone = 5s;

Duration Doubled(Duration first, int times, Duration most) {
  Duration duration = first;
  for (int i = 0; i < times && duration < most; ++i) duration *= 2;
  return std::min(duration, most);
}

}  // namespace

void PeerSampler::SetNeighbours(std::span<const Neighbour> neighbours) {
  std::map<MemberId, Peer> kept;
  for (const Neighbour& neighbour : neighbours) {
    Peer& peer = kept[neighbour.member];
    if (const Peer* known = Find(neighbour.member)) peer = *known;
    if (peer.refusals > 0) peer.alone_until = Time::min();
    peer.refusals = 0;
  }
  peers_ = std::move(kept);
}

std::variant<MemberId, Time> PeerSampler::Pick(Time now, bool unsettled_first) {
  std::vector<MemberId> any, unsettled;
  Time next = Time::max();
  for (const auto& [member, peer] : peers_) {
    if (peer.alone_until > now) {
      next = std::min(next, peer.alone_until);
      continue;
    }
    any.push_back(member);
    if (!peer.settled) unsettled.push_back(member);
  }
  const auto& candidates = unsettled_first && !unsettled.empty() ? unsettled : any;
  if (candidates.empty()) return next;
  return candidates[random_() % candidates.size()];
}

Duration PeerSampler::PatienceWith(MemberId peer) const {
  const auto found = peers_.find(peer);
  return found == peers_.end() ? Patience::kLeast : found->second.patience.deadline();
}

void PeerSampler::OnCompleted(MemberId peer, Duration took) {
  Peer* known = Find(peer);
  if (known == nullptr) return;
  known->patience.OnCompleted(took);
  known->alone_until = Time::min();
  known->refusals = 0;
  known->losses = 0;
}

void PeerSampler::OnBusy(MemberId peer, Time now) {
  Peer* known = Find(peer);
  if (known == nullptr) return;
  // The peer's exchange ends at a random moment of it, on average half-way.
  const Duration usual = std::clamp(known->patience.recent(), kBusyLeast, kBusyMost);
  LeaveAlone(*known, now, usual / 4, usual);
}

void PeerSampler::OnRefused(MemberId peer, Time now) {
  Peer* known = Find(peer);
  if (known == nullptr) return;
  const Duration alone = Doubled(kRefusedFirst, known->refusals++, kRefusedMost);
  LeaveAlone(*known, now, alone / 2, alone / 2);
}

void PeerSampler::OnLost(MemberId peer, Time now) {
  Peer* known = Find(peer);
  if (known == nullptr) return;
  const Duration alone = Doubled(kLostFirst, known->losses++, kLostMost);
  LeaveAlone(*known, now, alone / 2, alone / 2);
}

void PeerSampler::OnTimeout(MemberId peer, Time now) {
  Peer* known = Find(peer);
  if (known == nullptr) return;
  known->patience.OnTimeout();
  LeaveAlone(*known, now, kTimeoutAlone, kTimeoutAlone / 5);
}

void PeerSampler::SetSettled(MemberId peer, bool settled) {
  if (Peer* known = Find(peer)) known->settled = settled;
}

void PeerSampler::UnsettleAll() {
  for (auto& [member, peer] : peers_) peer.settled = false;
}

bool PeerSampler::AllSettled() const {
  return std::ranges::all_of(peers_, [](const auto& entry) { return entry.second.settled; });
}

PeerSampler::Peer* PeerSampler::Find(MemberId peer) {
  const auto found = peers_.find(peer);
  return found == peers_.end() ? nullptr : &found->second;
}

double PeerSampler::Random() { return static_cast<double>(random_() >> 11) * 0x1p-53; }

void PeerSampler::LeaveAlone(Peer& peer, Time now, Duration least, Duration spread) {
  const auto extra = static_cast<int64_t>(Random() * static_cast<double>(spread.count()));
  // A shorter reason never ends a longer one.
  peer.alone_until = std::max(peer.alone_until, now + least + Duration(extra));
}

}  // namespace grapevine::gossip
