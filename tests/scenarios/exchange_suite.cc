#include <algorithm>
#include <deque>
#include <map>
#include <stdexcept>

#include "fmt/format.h"
#include "tests/scenarios/scenario.h"
#include "worker/gossip/engine.h"

namespace grapevine::scenarios {
namespace {

using gossip::Effect;
using gossip::Engine;
using gossip::MemberId;

// Models of two chunks, so that streaming is seen.
constexpr gossip::ChunkGrid kGrid{.elements = 20, .chunk_elements = 10};
// Frames and wake-ups that one command may bring about.
constexpr int kMostEvents = 1000;

const char* NameOf(gossip::Kind kind) {
  switch (kind) {
    case gossip::Kind::kOffer:
      return "Offer";
    case gossip::Kind::kAccept:
      return "Accept";
    case gossip::Kind::kBusy:
      return "Busy";
    case gossip::Kind::kRefuse:
      return "Refuse";
    case gossip::Kind::kChunk:
      return "Chunk";
    case gossip::Kind::kDone:
      return "Done";
    case gossip::Kind::kAbort:
      return "Abort";
    default:
      throw std::runtime_error("a frame that no engine sends");
  }
}

// view 1 active with=2,3    a newer view for member 1, which begins with its first one
// step 1                    its trainer made a step
// deliver                   the frames under way arrive, in the order sent, until none is left
// wait 0.5                  time passes; what is sent meanwhile stays under way
// show                      what each member is in, and how the exchanges that it began ended
// Each command prints the frames that it made the members send: "1 -> 2 Offer 1:1", the last being
// the exchange's id.
class ExchangeSuite final : public Suite {
 public:
  std::string Run(const Command& command) override {
    text_.clear();
    if (command.name == "view") {
      TellView(command);
    } else if (command.name == "step") {
      Tell(command.Member(), gossip::StepsMade{1});
    } else if (command.name == "deliver") {
      Deliver();
    } else if (command.name == "wait") {
      Wait(command.Seconds());
    } else if (command.name == "show") {
      Show();
    } else {
      throw std::runtime_error("unknown command " + command.name);
    }
    return text_;
  }

 private:
  struct Member {
    Engine engine;
    Time wake_at;
  };
  struct Flight {
    MemberId from, to;
    gossip::Header header;
  };

  void TellView(const Command& command) {
    const MemberId member = command.Member();
    if (!members_.contains(member)) {
      members_.emplace(member, Member{.engine = Engine({.seed = member, .grid = kGrid}),
                                      .wake_at = Time::max()});
      Tell(member, gossip::IdentityChanged{member});
    }
    gossip::View view{
        .epoch = ++epoch_,
        .side = command.Word(1) == "active" ? gossip::Side::kActive : gossip::Side::kPassive};
    for (MemberId neighbour : command.Members("with")) {
      view.neighbours.push_back({.member = neighbour, .address = {}});
    }
    Tell(member, gossip::ViewChanged{view});
  }

  void Tell(MemberId id, const gossip::GossipEvent& event) {
    const auto it = members_.find(id);
    if (it == members_.end()) throw std::runtime_error("no such member");
    Member& member = it->second;
    Carry(id, member, member.engine.Step(now_, event));
    // More to send.
    for (int i = 0; member.wake_at <= now_; ++i) {
      if (i == kMostEvents) throw std::runtime_error("the engine never rests");
      Carry(id, member, member.engine.Step(now_, gossip::Tick{}));
    }
  }

  void Carry(MemberId id, Member& member, const gossip::Effects& effects) {
    member.wake_at = effects.wake_at;
    for (const Effect& effect : effects.list) {
      if (effect.kind == Effect::Kind::kSend || effect.kind == Effect::Kind::kSendChunk) {
        flights_.push_back({.from = id, .to = effect.peer, .header = effect.header});
        const gossip::ExchangeId& exchange = effect.header.exchange;
        text_ += fmt::format("{} -> {} {} {}:{}\n", id, effect.peer, NameOf(effect.header.kind),
                             exchange.active, exchange.counter);
      }
      if (effect.kind == Effect::Kind::kMix) {
        Carry(id, member, member.engine.Step(now_, gossip::ChunkMixed{}));
      }
    }
  }

  void Deliver() {
    for (int i = 0; !flights_.empty(); ++i) {
      if (i == kMostEvents) throw std::runtime_error("the members never rest");
      const Flight flight = flights_.front();
      flights_.pop_front();
      Tell(flight.to, gossip::FrameArrived{.peer = flight.from, .header = flight.header});
    }
  }

  void Wait(Duration duration) {
    const Time end = now_ + duration;
    for (int i = 0; now_ < end; ++i) {
      if (i == kMostEvents) throw std::runtime_error("the members never rest");
      Time next = end;
      for (const auto& [id, member] : members_) next = std::min(next, member.wake_at);
      now_ = next;
      for (const auto& [id, member] : members_) {
        if (member.wake_at <= now_) Tell(id, gossip::Tick{});
      }
    }
  }

  void Show() {
    for (const auto& [id, member] : members_) {
      const gossip::GossipCounts& counts = member.engine.counts();
      text_ +=
          fmt::format("{} {}; began: {} completed, {} busy, {} refused, {} timed out\n", id,
                      member.engine.exchange() ? "in an exchange" : "free", counts.begun.completed,
                      counts.begun.busy, counts.begun.refused, counts.begun.timed_out);
    }
  }

  std::map<MemberId, Member> members_;
  std::deque<Flight> flights_;
  uint64_t epoch_ = 0;
  Time now_ = Time{} + 100s;
  std::string text_;
};

}  // namespace

std::unique_ptr<Suite> MakeExchangeSuite() { return std::make_unique<ExchangeSuite>(); }

}  // namespace grapevine::scenarios
