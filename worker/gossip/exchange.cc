#include "worker/gossip/exchange.h"

#include "operator/base/check.h"

namespace grapevine::gossip {

Exchange::Exchange(const Terms& terms, const ChunkGrid& grid, Time now, Duration patience,
                   Effects& effects)
    : terms_(terms),
      grid_(grid),
      begun_at_(now),
      patience_(patience),
      state_(terms.begun_here ? State::kOffered : State::kStreaming),
      deadline_(now + patience) {
  Send(terms.begun_here ? Kind::kOffer : Kind::kAccept, effects);
}

bool Exchange::OnFrame(Time now, const Header& header, Effects& effects) {
  GRAPEVINE_CHECK(!ended() && !mixing_);
  const bool carries_payload = header.kind == Kind::kChunk;
  if (header.encoding == terms_.encoding && (carries_payload || header.payload_bytes == 0)) {
    switch (header.kind) {
      case Kind::kAccept:
        if (state_ != State::kOffered) break;
        state_ = State::kStreaming;
        Progress(now);
        return true;
      case Kind::kBusy:
        if (state_ != State::kOffered) break;
        End(Outcome::kBusy);
        return true;
      case Kind::kRefuse:
        if (state_ != State::kOffered) break;
        End(Outcome::kRefused);
        return true;
      case Kind::kChunk:
        if (!OnChunk(now, header, effects)) break;
        return true;
      case Kind::kDone:
        if (state_ != State::kAwaitingDone) break;
        End(Outcome::kCompleted);
        return true;
      case Kind::kAbort:
        EndEarly();
        return true;
      default:
        break;
    }
  }
  GiveUp(effects);
  return false;
}

bool Exchange::OnChunk(Time now, const Header& header, Effects& effects) {
  if (state_ != State::kStreaming || header.chunk != mixed_) return false;
  if (header.payload_bytes != PayloadBytes(terms_.encoding, grid_.ElementsOf(mixed_))) return false;
  // Both ends must difference the same two snapshots: ours is taken before the peer's touches the
  // model.
  if (sent_ == mixed_) SendChunk(effects);
  // Before it is mixed: a late chunk that is here now must not be cut off by the deadline that it
  // missed.
  Progress(now);
  mixing_ = true;
  effects.list.push_back(
      {.kind = Effect::Kind::kMix, .peer = terms_.peer, .header = header, .address = {}});
  return true;
}

void Exchange::OnMixed(const MixResult& sums, Effects& effects) {
  GRAPEVINE_CHECK(mixing_);
  mixing_ = false;
  sums_.distance_sq += sums.distance_sq;
  sums_.norm_sq += sums.norm_sq;
  if (++mixed_ < grid_.chunks()) return;
  state_ = State::kAwaitingDone;
  effects.list.push_back(
      {.kind = Effect::Kind::kMixedAll, .peer = terms_.peer, .header = {}, .address = {}});
  Send(Kind::kDone, effects);
}

void Exchange::OnLost() { EndEarly(); }

void Exchange::GiveUp(Effects& effects) {
  Send(Kind::kAbort, effects);
  EndEarly();
}

bool Exchange::MaySend() const {
  return state_ == State::kStreaming && !mixing_ && sent_ < grid_.chunks() &&
         sent_ < mixed_ + kWindow;
}

void Exchange::SendChunk(Effects& effects) {
  const Header header{.kind = Kind::kChunk,
                      .encoding = terms_.encoding,
                      .chunk = sent_,
                      .exchange = terms_.id,
                      .payload_bytes = static_cast<uint32_t>(
                          PayloadBytes(terms_.encoding, grid_.ElementsOf(sent_)))};
  effects.list.push_back(
      {.kind = Effect::Kind::kSendChunk, .peer = terms_.peer, .header = header, .address = {}});
  ++sent_;
}

void Exchange::End(Outcome outcome) {
  state_ = State::kEnded;
  outcome_ = outcome;
}

void Exchange::EndEarly() { End(sent_ > 0 ? Outcome::kTorn : Outcome::kTimedOut); }

void Exchange::Send(Kind kind, Effects& effects) const {
  effects.list.push_back(
      {.kind = Effect::Kind::kSend,
       .peer = terms_.peer,
       .header = {.kind = kind, .encoding = terms_.encoding, .exchange = terms_.id},
       .address = {}});
}

}  // namespace grapevine::gossip
