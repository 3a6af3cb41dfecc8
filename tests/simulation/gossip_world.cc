#include "tests/simulation/gossip_world.h"

#include <algorithm>
#include <cmath>

#include "fmt/format.h"

namespace grapevine::gossip {

GossipWorld::GossipWorld(const Options& options) : options_(options), random_(options.seed) {
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (MemberId id = 1; id <= options.members; ++id) {
    Member member{
        .engine = Engine({.seed = random_(), .policy = options.policy, .grid = options.grid}),
        .weights = std::vector<float>(options.grid.elements),
        .kept = {},
        .waiting = {}};
    for (float& w : member.weights) expected_sum_ += static_cast<double>(w = uniform(random_));
    members_.emplace(id, std::move(member));
    Tell(id, IdentityChanged{id});
  }
}

void GossipWorld::Tell(MemberId id, const GossipEvent& event) { Step(id, event, nullptr); }

void GossipWorld::SetView(MemberId id, Side side, const std::vector<MemberId>& neighbours) {
  View view{.epoch = ++members_.at(id).epoch, .side = side, .neighbours = {}};
  for (MemberId n : neighbours) view.neighbours.push_back({.member = n, .address = "simulated"});
  Tell(id, ViewChanged{view});
}

void GossipWorld::SetBipartite(const std::vector<MemberId>& active,
                               const std::vector<MemberId>& passive) {
  for (MemberId id : active) SetView(id, Side::kActive, passive);
  for (MemberId id : passive) SetView(id, Side::kPassive, active);
}

void GossipWorld::ApplyGradient(MemberId id) {
  Member& member = members_.at(id);
  if (!member.alive || member.frozen) return;
  std::uniform_real_distribution<float> uniform(-0.01f, 0.01f);
  for (float& w : member.weights) {
    const float before = w;
    w += uniform(random_);
    expected_sum_ += static_cast<double>(w) - static_cast<double>(before);
  }
  Tell(id, StepsMade{1});
}

void GossipWorld::BreakLink(MemberId a, MemberId b) {
  Link& link = LinkOf(a, b);
  ++link.life;
  link.last.clear();
  Send(a, b, std::nullopt);
  Send(b, a, std::nullopt);
}

void GossipWorld::Kill(MemberId id) {
  for (const auto& [other, member] : members_) {
    if (other != id) BreakLink(id, other);
  }
  Member& dead = members_.at(id);
  for (float w : dead.weights) expected_sum_ -= static_cast<double>(w);
  dead.alive = false;
}

void GossipWorld::Freeze(MemberId id, bool frozen) {
  Member& member = members_.at(id);
  member.frozen = frozen;
  if (frozen) return;
  for (auto& [from, wire] : std::exchange(member.waiting, {})) {
    Step(id, FrameArrived{.peer = from, .header = wire.header}, &wire);
  }
  Tell(id, Tick{});
}

void GossipWorld::RunFor(Duration duration) {
  const Time end = now_ + duration;
  while (violation_.empty()) {
    Time next = deliveries_.empty() ? Time::max() : deliveries_.top().at;
    MemberId sleeper = 0;
    for (const auto& [id, member] : members_) {
      if (member.alive && !member.frozen && member.wake_at < next) {
        next = member.wake_at;
        sleeper = id;
      }
    }
    if (next > end) break;
    now_ = std::max(now_, next);
    if (sleeper != 0) {
      Tell(sleeper, Tick{});
      continue;
    }
    const Delivery delivery = deliveries_.top();
    deliveries_.pop();
    Deliver(delivery);
  }
  now_ = end;
}

double GossipWorld::sum() const {
  double sum = 0;
  for (const auto& [id, member] : members_) {
    if (!member.alive) continue;
    for (float w : member.weights) sum += static_cast<double>(w);
  }
  return sum;
}

double GossipWorld::Spread() const {
  double spread = 0;
  for (size_t i = 0; i < options_.grid.elements; ++i) {
    double least = HUGE_VAL, most = -HUGE_VAL;
    for (const auto& [id, member] : members_) {
      if (!member.alive) continue;
      least = std::min<double>(least, member.weights[i]);
      most = std::max<double>(most, member.weights[i]);
    }
    spread = std::max(spread, most - least);
  }
  return spread;
}

int64_t GossipWorld::Completed() const {
  int64_t completed = 0;
  for (const auto& [id, member] : members_) completed += member.engine.counts().begun.completed;
  return completed;
}

int64_t GossipWorld::Torn() const {
  int64_t torn = 0;
  for (const auto& [id, member] : members_) torn += member.engine.counts().torn;
  return torn;
}

void GossipWorld::Send(MemberId from, MemberId to, std::optional<Wire> wire) {
  Link& link = LinkOf(from, to);
  const auto spread = static_cast<uint64_t>((options_.most_delay - options_.least_delay).count());
  Time& last = link.last.try_emplace(to, Time{}).first->second;
  last = std::max(
      last, now_ + options_.least_delay + Duration(static_cast<int64_t>(random_() % (spread + 1))));
  deliveries_.push({.at = last,
                    .order = ++order_,
                    .from = from,
                    .to = to,
                    .link_life = link.life,
                    .wire = std::move(wire)});
}

void GossipWorld::Deliver(const Delivery& delivery) {
  Member& to = members_.at(delivery.to);
  if (!to.alive) {
    if (delivery.wire) Send(delivery.to, delivery.from, std::nullopt);
    return;
  }
  if (!delivery.wire) return Tell(delivery.to, PeerLost{delivery.from});
  if (delivery.link_life != LinkOf(delivery.from, delivery.to).life) return;
  if (to.frozen) {
    to.waiting.emplace_back(delivery.from, *delivery.wire);
    return;
  }
  Step(delivery.to, FrameArrived{.peer = delivery.from, .header = delivery.wire->header},
       &*delivery.wire);
}

void GossipWorld::Step(MemberId id, const GossipEvent& event, const Wire* wire) {
  Member& member = members_.at(id);
  if (!member.alive) return;
  const Effects effects = member.engine.Step(now_, event);
  member.wake_at = std::max(effects.wake_at, now_);
  for (const Effect& effect : effects.list) {
    switch (effect.kind) {
      case Effect::Kind::kSend:
        Send(id, effect.peer, Wire{.header = effect.header, .payload = {}});
        break;
      case Effect::Kind::kSendChunk: {
        const uint32_t chunk = effect.header.chunk;
        std::vector<std::byte> bytes(effect.header.payload_bytes);
        Encode(effect.header.encoding,
               std::span(member.weights)
                   .subspan(chunk * options_.grid.chunk_elements, options_.grid.ElementsOf(chunk)),
               bytes);
        Header header = effect.header;
        header.crc32c = Crc32c(bytes);
        member.kept[chunk] = bytes;
        if (member.kept.size() > Exchange::kWindow) Fail("more snapshots than the window");
        Send(id, effect.peer, Wire{.header = header, .payload = std::move(bytes)});
        break;
      }
      case Effect::Kind::kMix:
        if (wire == nullptr) return Fail("a mix without a frame");
        Mix(id, effect, *wire);
        break;
      case Effect::Kind::kLetGo:
        member.kept.clear();
        break;
      default:
        break;
    }
  }
  Check(id);
}

void GossipWorld::Mix(MemberId id, const Effect& effect, const Wire& wire) {
  Member& member = members_.at(id);
  const uint32_t chunk = effect.header.chunk;
  const auto own = member.kept.find(chunk);
  if (own == member.kept.end()) return Fail("a mix before the own snapshot");
  const std::vector<std::span<const std::byte>> pieces{wire.payload};
  const size_t elements = options_.grid.ElementsOf(chunk);
  if (Verify(wire.header.encoding, elements, wire.header.crc32c, pieces) != Soundness::kSound) {
    return Tell(id, ChunkSpoilt{});
  }
  const MixResult sums =
      MixInto(std::span(member.weights).subspan(chunk * options_.grid.chunk_elements, elements),
              wire.header.encoding, own->second, pieces);
  member.kept.erase(own);
  const ExchangeId& exchange = wire.header.exchange;
  ++mixed_[{exchange.active, exchange.counter}][id];
  Tell(id, ChunkMixed{sums});
}

void GossipWorld::Check(MemberId id) {
  const auto& exchange = members_.at(id).engine.exchange();
  if (!exchange) return;
  const Exchange::Terms& terms = exchange->terms();
  if (terms.peer == id) Fail("an exchange with itself");
  if (exchange->deadline() < now_) Fail("an exchange past its deadline");
  const auto mixed = mixed_.find({terms.id.active, terms.id.counter});
  if (mixed != mixed_.end() && mixed->second.size() > 2) Fail("an exchange of three members");
}

void GossipWorld::Fail(const std::string& what) {
  if (violation_.empty()) {
    violation_ =
        fmt::format("{} at {} s, seed {}", what, ToSeconds(now_.time_since_epoch()), options_.seed);
  }
}

}  // namespace grapevine::gossip
