#include "worker/gossip/engine.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "operator/base/check.h"

namespace grapevine::gossip {
namespace {

// A removed neighbour's stream stays open so long, for our last Done to leave.
constexpr Duration kLinger = 1s;
constexpr double kSettledRatio = 1e-3;

void Send(MemberId peer, Kind kind, const Header& answered, Effects& effects) {
  effects.list.push_back(
      {.kind = Effect::Kind::kSend,
       .peer = peer,
       .header = {.kind = kind, .encoding = answered.encoding, .exchange = answered.exchange},
       .address = {}});
}

void Do(Effect::Kind kind, MemberId peer, Effects& effects) {
  effects.list.push_back({.kind = kind, .peer = peer, .header = {}, .address = {}});
}

}  // namespace

Engine::Engine(const EngineOptions& options)
    : grid_(options.grid),
      policy_(options.policy),
      least_patience_(options.least_patience),
      sampler_(options.seed) {
  GRAPEVINE_CHECK(grid_.elements > 0);
}

Effects Engine::Step(Time now, const GossipEvent& event) {
  Effects effects;
  std::visit([&](const auto& happened) { On(now, happened, effects); }, event);
  if (exchange_ && exchange_->deadline() <= now && !exchange_->ended()) {
    exchange_->GiveUp(effects);
    Close(now, Cause::kSilence, effects);
  }
  ForgetRemoved(now, effects);
  if (MayOffer()) effects.wake_at = TryOffer(now, effects);
  if (exchange_) {
    // One chunk a step: the transport moves bytes between steps, and the first should not wait for
    // the eighth.
    if (exchange_->MaySend()) exchange_->SendChunk(effects);
    effects.wake_at = exchange_->MaySend() ? now : exchange_->deadline();
  }
  for (const auto& [peer, at] : leaving_) effects.wake_at = std::min(effects.wake_at, at);
  RefreshCounts();
  return effects;
}

bool Engine::AwaitsSteps() const {
  return !WantsExchange() && policy_.per_step > 0 && view_.side == Side::kActive && !exchange_;
}

void Engine::On(Time now, const IdentityChanged& event, Effects& effects) {
  if (exchange_) {
    exchange_->OnLost();
    Close(now, Cause::kTold, effects);
  }
  member_ = event.member;
  finishing_ = false;
  idle_ = false;
  debt_ = 0;
  view_ = {};
  next_view_.reset();
  leaving_.clear();
  sampler_.SetNeighbours({});
}

void Engine::On(Time now, const ViewChanged& event, Effects& effects) {
  const uint64_t newest = next_view_ ? next_view_->epoch : view_.epoch;
  if (event.view.epoch <= newest) return;
  if (exchange_) {
    next_view_ = event.view;
  } else {
    ApplyView(now, event.view, effects);
  }
}

void Engine::On(Time now, const PolicyChanged& event, Effects& effects) {
  policy_ = event.policy;
  On(now, StepsMade{0}, effects);  // what was owed before is capped as it is from now on
}

void Engine::On(Time, const StepsMade& event, Effects&) {
  const double cap = std::max(policy_.per_step, 1.0);
  debt_ = policy_.per_step == 0
              ? 0
              : std::min(cap, debt_ + static_cast<double>(event.steps) * policy_.per_step);
}

void Engine::On(Time, const BackToBackSet& event, Effects&) { back_to_back_ = event.on; }

void Engine::On(Time, const FinishBegun&, Effects&) {
  if (finishing_) return;
  finishing_ = true;
  sampler_.UnsettleAll();
}

void Engine::On(Time, const IdleBegun&, Effects&) { idle_ = true; }

void Engine::On(Time, const StopBegun&, Effects&) { stopping_ = true; }

void Engine::On(Time now, const FrameArrived& event, Effects& effects) {
  if (event.header.kind == Kind::kOffer) return JudgeOffer(now, event, effects);
  const bool ours = exchange_ && exchange_->terms().peer == event.peer &&
                    exchange_->terms().id == event.header.exchange;
  if (!ours) return JudgeStray(event, effects);
  const bool was_offered = exchange_->state() == Exchange::State::kOffered;
  if (!exchange_->OnFrame(now, event.header, effects)) ++counts_.rejected;
  // An offer that is not taken up spends nothing. Steps made while the exchange runs are owed the
  // next one.
  if (was_offered && exchange_->state() == Exchange::State::kStreaming)
    debt_ = std::max(0.0, debt_ - 1);
  if (exchange_->ended()) Close(now, Cause::kLoss, effects);
}

void Engine::JudgeOffer(Time now, const FrameArrived& event, Effects& effects) {
  const Header& offer = event.header;
  if (offer.exchange.active != event.peer || offer.payload_bytes != 0) {
    ++counts_.rejected;
    return Send(event.peer, Kind::kAbort, offer, effects);
  }
  if (exchange_ && exchange_->terms().peer == event.peer && !exchange_->terms().begun_here) {
    // It would not offer again unless the exchange that we still see were over for it.
    exchange_->OnLost();
    Close(now, Cause::kTold, effects);
  }
  const bool willing =
      !idle_ && !stopping_ && view_.side == Side::kPassive && sampler_.Contains(event.peer);
  if (exchange_) return Send(event.peer, Kind::kBusy, offer, effects);
  if (!willing) return Send(event.peer, Kind::kRefuse, offer, effects);
  exchange_.emplace(
      Exchange::Terms{.id = offer.exchange, .peer = event.peer, .encoding = offer.encoding}, grid_,
      now, PatienceWith(event.peer), effects);
}

// A frame of an exchange that has ended is ordinary; one of an exchange that cannot have been is
// not.
void Engine::JudgeStray(const FrameArrived& event, Effects& effects) {
  const ExchangeId& id = event.header.exchange;
  const bool theirs = id.active == event.peer;
  const bool mine = id.active == member_ && id.counter <= offers_;
  if (theirs || mine) return;
  ++counts_.rejected;
  if (event.header.kind != Kind::kAbort) Send(event.peer, Kind::kAbort, event.header, effects);
}

void Engine::On(Time, const ChunkMixed& event, Effects& effects) {
  GRAPEVINE_CHECK(exchange_.has_value());
  exchange_->OnMixed(event.sums, effects);
}

void Engine::On(Time now, const ChunkSpoilt&, Effects& effects) {
  GRAPEVINE_CHECK(exchange_.has_value());
  ++counts_.rejected;
  exchange_->GiveUp(effects);
  Close(now, Cause::kLoss, effects);
}

void Engine::On(Time now, const ExchangeBarred&, Effects& effects) {
  GRAPEVINE_CHECK(exchange_.has_value());
  exchange_->GiveUp(effects);
  Close(now, Cause::kLoss, effects);
}

void Engine::On(Time now, const PeerLost& event, Effects& effects) {
  if (exchange_ && exchange_->terms().peer == event.peer) {
    exchange_->OnLost();
    Close(now, Cause::kLoss, effects);
  } else {
    sampler_.OnLost(event.peer, now);
  }
}

void Engine::On(Time now, const PeerRejected& event, Effects& effects) {
  ++counts_.rejected;
  if (event.peer != 0) On(now, PeerLost{event.peer}, effects);
}

void Engine::On(Time, const Tick&, Effects&) {}

void Engine::ApplyView(Time now, const View& view, Effects& effects) {
  for (const Neighbour& old : view_.neighbours) leaving_.try_emplace(old.member, now + kLinger);
  for (const Neighbour& neighbour : view.neighbours) {
    leaving_.erase(neighbour.member);
    // Only the active side opens streams.
    if (view.side != Side::kActive) continue;
    effects.list.push_back({.kind = Effect::Kind::kSetAddress,
                            .peer = neighbour.member,
                            .header = {},
                            .address = neighbour.address});
  }
  sampler_.SetNeighbours(view.neighbours);
  view_ = view;
}

void Engine::ForgetRemoved(Time now, Effects& effects) {
  for (auto it = leaving_.begin(); it != leaving_.end();) {
    if (it->second > now) {
      ++it;
      continue;
    }
    Do(Effect::Kind::kForget, it->first, effects);
    it = leaving_.erase(it);
  }
}

void Engine::Close(Time now, Cause cause, Effects& effects) {
  GRAPEVINE_CHECK(exchange_->ended());
  CountOutcome(now, *exchange_);
  NotePeer(now, cause, *exchange_);
  Do(Effect::Kind::kLetGo, exchange_->terms().peer, effects);
  exchange_.reset();
  if (next_view_) {
    const View view = *std::exchange(next_view_, std::nullopt);
    ApplyView(now, view, effects);
  }
}

void Engine::CountOutcome(Time now, const Exchange& exchange) {
  using Outcome = Exchange::Outcome;
  const Outcome outcome = exchange.outcome();
  if (outcome == Outcome::kCompleted) {
    ++counts_.completed;
    counts_.peer_distance = std::sqrt(exchange.sums().distance_sq);
    counts_.weights_norm = std::sqrt(exchange.sums().norm_sq);
  }
  if (outcome == Outcome::kTorn) ++counts_.torn;
  if (!exchange.terms().begun_here) return;

  auto& begun = counts_.begun;
  if (outcome == Outcome::kBusy) ++begun.busy;
  if (outcome == Outcome::kRefused) ++begun.refused;
  if (outcome == Outcome::kTimedOut) ++begun.timed_out;
  if (outcome == Outcome::kTorn) ++begun.torn;
  if (outcome == Outcome::kCompleted) {
    const double seconds = ToSeconds(now - exchange.begun_at());
    ++begun.completed;
    ++begun.seconds[static_cast<size_t>(api::ExchangeBucket(seconds))];
    begun.seconds_max = std::max(begun.seconds_max, seconds);
  }
}

void Engine::NotePeer(Time now, Cause cause, const Exchange& exchange) {
  const MemberId peer = exchange.terms().peer;
  switch (exchange.outcome()) {
    case Exchange::Outcome::kCompleted: {
      sampler_.OnCompleted(peer, now - exchange.begun_at());
      // A lossy exchange cannot tell how equal the models are.
      const bool equal = counts_.peer_distance <= kSettledRatio * counts_.weights_norm;
      if (finishing_) {
        sampler_.SetSettled(peer, equal && exchange.terms().encoding == Encoding::kFloat32);
      }
      return;
    }
    case Exchange::Outcome::kBusy:
      return sampler_.OnBusy(peer, now);
    case Exchange::Outcome::kRefused:
      return sampler_.OnRefused(peer, now);
    default:
      break;
  }
  if (cause == Cause::kSilence) sampler_.OnTimeout(peer, now);
  if (cause == Cause::kLoss) sampler_.OnLost(peer, now);
}

Duration Engine::PatienceWith(MemberId peer) const {
  return std::max(least_patience_, sampler_.PatienceWith(peer));
}

bool Engine::WantsExchange() const { return back_to_back_ || finishing_ || debt_ >= 1; }

bool Engine::MayOffer() const {
  return !exchange_ && !idle_ && !stopping_ && member_ != 0 && view_.side == Side::kActive &&
         WantsExchange();
}

Time Engine::TryOffer(Time now, Effects& effects) {
  const auto pick = sampler_.Pick(now, finishing_);
  if (const Time* later = std::get_if<Time>(&pick)) return *later;
  const MemberId peer = std::get<MemberId>(pick);
  exchange_.emplace(Exchange::Terms{.id = {.active = member_, .counter = ++offers_},
                                    .peer = peer,
                                    .encoding = finishing_ ? Encoding::kFloat32 : policy_.encoding,
                                    .begun_here = true},
                    grid_, now, PatienceWith(peer), effects);
  return exchange_->deadline();
}

void Engine::RefreshCounts() {
  counts_.view_epoch = view_.epoch;
  counts_.neighbours = view_.neighbours.size();
  counts_.settled = finishing_ && view_.epoch > 0 && sampler_.AllSettled();
}

}  // namespace grapevine::gossip
