#include "worker/gossip/joiner.h"

#include <algorithm>
#include <utility>

#include "operator/base/check.h"

namespace grapevine::gossip {

void Joiner::Start(Time now, MemberId self, std::vector<Neighbour> donors, Effects& effects) {
  GRAPEVINE_CHECK(!active());
  donors_ = std::move(donors);
  next_donor_ = 0;
  refused_ = false;
  pause_ = kFirstPause;
  last_round_ = now + kRounds;
  id_.active = self;
  AskNext(now, effects);
}

bool Joiner::OnFrame(Time now, MemberId donor, const Header& header, Effects& effects) {
  if (!Concerns(donor, header)) return header.exchange.active == id_.active;
  switch (header.kind) {
    case Kind::kStateAccept:
      if (state_ != State::kAsking) break;
      state_ = State::kCopying;
      deadline_ = now + kSilence;
      while (requested_ < std::min(kAhead, 2 * grid_.chunks())) Request(effects);
      return true;
    case Kind::kStateRefuse:
      refused_ = true;
      AskNext(now, effects);
      return true;
    case Kind::kStateChunk: {
      if (state_ != State::kCopying || header.chunk != loaded_ || loaded_ == requested_) break;
      const size_t elements = grid_.ElementsOf(header.chunk % grid_.chunks());
      if (header.payload_bytes != elements * sizeof(float)) break;
      effects.list.push_back(
          {.kind = Effect::Kind::kLoad, .peer = donor, .header = header, .address = {}});
      return true;
    }
    default:
      break;
  }
  GiveUpDonor(now, effects);
  return false;
}

void Joiner::OnLoaded(Time now, bool sound, Effects& effects) {
  GRAPEVINE_CHECK(state_ == State::kCopying);
  if (!sound) return GiveUpDonor(now, effects);
  deadline_ = now + kSilence;
  if (++loaded_ < 2 * grid_.chunks()) {
    if (requested_ < 2 * grid_.chunks()) Request(effects);
    return;
  }
  Send(Kind::kStateClose, 0, effects);
  End(Effect::Kind::kCopied, effects);
}

void Joiner::OnLost(Time now, MemberId donor, Effects& effects) {
  if (IsAt(donor)) AskNext(now, effects);
}

void Joiner::OnTime(Time now, Effects& effects) {
  if (active() && deadline_ <= now) {
    state_ == State::kPausing ? AskNext(now, effects) : GiveUpDonor(now, effects);
  }
  if (active()) effects.wake_at = std::min(effects.wake_at, deadline_);
}

bool Joiner::IsAt(MemberId donor) const {
  return active() && state_ != State::kPausing && donor == this->donor();
}

bool Joiner::Concerns(MemberId donor, const Header& header) const {
  return IsAt(donor) && header.exchange == id_;
}

void Joiner::AskNext(Time now, Effects& effects) {
  if (next_donor_ == donors_.size()) return EndRound(now, effects);
  const Neighbour& next = donors_[next_donor_++];
  state_ = State::kAsking;
  deadline_ = now + kSilence;
  requested_ = 0;
  loaded_ = 0;
  ++id_.counter;
  effects.list.push_back({.kind = Effect::Kind::kSetAddress,
                          .peer = next.member,
                          .header = {},
                          .address = next.address});
  Send(Kind::kStateOpen, 0, effects);
}

void Joiner::EndRound(Time now, Effects& effects) {
  if (!refused_ || now + pause_ > last_round_) return End(Effect::Kind::kCopyFailed, effects);
  state_ = State::kPausing;
  deadline_ = now + pause_;
  pause_ = std::min(2 * pause_, kLongestPause);
  next_donor_ = 0;
  refused_ = false;
}

void Joiner::End(Effect::Kind outcome, Effects& effects) {
  state_ = State::kIdle;
  for (const Neighbour& donor : donors_) {
    effects.list.push_back(
        {.kind = Effect::Kind::kForget, .peer = donor.member, .header = {}, .address = {}});
  }
  effects.list.push_back({.kind = outcome, .peer = 0, .header = {}, .address = {}});
}

void Joiner::GiveUpDonor(Time now, Effects& effects) {
  Send(Kind::kStateClose, 0, effects);
  AskNext(now, effects);
}

void Joiner::Request(Effects& effects) { Send(Kind::kStateRequest, requested_++, effects); }

void Joiner::Send(Kind kind, uint32_t chunk, Effects& effects) const {
  effects.list.push_back({.kind = Effect::Kind::kSend,
                          .peer = donor(),
                          .header = {.kind = kind, .chunk = chunk, .exchange = id_},
                          .address = {}});
}

}  // namespace grapevine::gossip
