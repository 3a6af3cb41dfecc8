#include "worker/gossip/engine.h"

#include <algorithm>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grapevine::gossip {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using EffectKind = Effect::Kind;

constexpr MemberId kSelf = 1;
constexpr MemberId kPeer = 2;
constexpr MemberId kOther = 3;

// An engine of member 1 with a model of `chunks` chunks of ten elements, and the clock it sees.
struct Bench {
  explicit Bench(Side side, uint32_t chunks = 20, ExchangePolicy policy = {})
      : engine({.seed = 1,
                .policy = policy,
                .grid = {.elements = chunks * 10u, .chunk_elements = 10}}) {
    Tell(IdentityChanged{kSelf});
    Tell(ViewChanged{{.epoch = 1, .side = side, .neighbours = {{kPeer, "a"}}}});
  }
  Effects Tell(const GossipEvent& event) { return last = engine.Step(now, event); }
  Effects Frame(Kind kind, const ExchangeId& id, uint32_t chunk = 0, uint32_t bytes = 0,
                MemberId from = kPeer) {
    return Tell(FrameArrived{
        .peer = from,
        .header = {.kind = kind, .chunk = chunk, .exchange = id, .payload_bytes = bytes}});
  }
  // The kinds of frames sent by the last step.
  std::vector<Kind> Sent() const {
    std::vector<Kind> kinds;
    for (const Effect& effect : last.list) {
      if (effect.kind == EffectKind::kSend || effect.kind == EffectKind::kSendChunk) {
        kinds.push_back(effect.header.kind);
      }
    }
    return kinds;
  }
  size_t Count(EffectKind kind) const {
    return std::ranges::count_if(last.list, [kind](const Effect& e) { return e.kind == kind; });
  }

  Engine engine;
  Time now = Time{} + 100s;
  Effects last;
};

constexpr ExchangeId kMine{.active = kSelf, .counter = 1};
constexpr ExchangeId kTheirs{.active = kPeer, .counter = 4};

TEST(Engine, APassiveMemberAcceptsAFreeNeighbourAndAnswersTheRestAtOnce) {
  Bench b(Side::kPassive);
  b.Frame(Kind::kOffer, {kOther, 1}, 0, 0, kOther);
  EXPECT_THAT(b.Sent(), ElementsAre(Kind::kRefuse));
  b.Frame(Kind::kOffer, kTheirs);
  EXPECT_THAT(b.Sent(), ElementsAre(Kind::kAccept, Kind::kChunk));
  b.Frame(Kind::kOffer, {kOther, 2}, 0, 0, kOther);
  ASSERT_FALSE(b.Sent().empty());
  EXPECT_EQ(b.Sent()[0], Kind::kBusy);
}

TEST(Engine, TwoActiveMembersThatOfferToEachOtherAreBothBusy) {
  Bench b(Side::kActive);
  b.Tell(StepsMade{1});
  EXPECT_THAT(b.Sent(), ElementsAre(Kind::kOffer));
  b.Frame(Kind::kOffer, kTheirs);
  EXPECT_THAT(b.Sent(), ElementsAre(Kind::kBusy));
  b.Frame(Kind::kBusy, kMine);
  EXPECT_FALSE(b.engine.exchange().has_value());
  EXPECT_EQ(b.engine.counts().begun.busy, 1);
  // Free again, but active still.
  b.Frame(Kind::kOffer, {kPeer, 5});
  EXPECT_EQ(b.Sent()[0], Kind::kRefuse);
}

TEST(Engine, AnOfferUnderAnothersNameIsGarbage) {
  Bench b(Side::kPassive);
  b.Frame(Kind::kOffer, {kOther, 1});
  EXPECT_THAT(b.Sent(), ElementsAre(Kind::kAbort));
  EXPECT_EQ(b.engine.counts().rejected, 1);
}

TEST(Engine, AtMostAWindowOfChunksIsAheadOfTheMixing) {
  Bench b(Side::kPassive);
  size_t sent = 0;
  b.Frame(Kind::kOffer, kTheirs);
  for (int i = 0; i < 30; ++i) {
    sent += b.Count(EffectKind::kSendChunk);
    b.Tell(Tick{});
  }
  EXPECT_EQ(sent, Exchange::kWindow);
  b.Frame(Kind::kChunk, kTheirs, 0, 40);
  EXPECT_EQ(b.Count(EffectKind::kMix), 1u);
  EXPECT_EQ(b.Count(EffectKind::kSendChunk), 0u);
  b.Tell(ChunkMixed{});
  EXPECT_EQ(b.Count(EffectKind::kSendChunk), 1u);
}

TEST(Engine, TheOwnChunkIsSnapshottedBeforeThePeersIsMixed) {
  Bench b(Side::kActive);
  b.Tell(StepsMade{1});
  // The peer's first chunks lie behind its Accept; only one of ours is sent by each step.
  b.Frame(Kind::kAccept, kMine);
  for (uint32_t chunk = 0; chunk < 20; ++chunk) {
    b.Frame(Kind::kChunk, kMine, chunk, 40);
    ASSERT_EQ(b.Count(EffectKind::kMix), 1u);
    b.Tell(ChunkMixed{});
  }
  EXPECT_EQ(b.Sent().back(), Kind::kDone);
}

TEST(Engine, CompletedOnceAllIsMixedAndThePeersDoneIsHere) {
  Bench b(Side::kActive, 1);
  b.Tell(StepsMade{1});
  b.Frame(Kind::kAccept, kMine);
  b.Frame(Kind::kChunk, kMine, 0, 40);
  b.now += 3ms;
  b.Tell(ChunkMixed{{.distance_sq = 9, .norm_sq = 16}});
  EXPECT_THAT(b.Sent(), ElementsAre(Kind::kDone));
  EXPECT_EQ(b.Count(EffectKind::kMixedAll), 1u);
  EXPECT_TRUE(b.engine.exchange().has_value());
  b.Frame(Kind::kDone, kMine);
  EXPECT_FALSE(b.engine.exchange().has_value());
  EXPECT_EQ(b.Count(EffectKind::kLetGo), 1u);
  const GossipCounts& counts = b.engine.counts();
  EXPECT_EQ(counts.begun.completed, 1);
  EXPECT_EQ(counts.peer_distance, 3);
  EXPECT_EQ(counts.weights_norm, 4);
  EXPECT_NEAR(counts.begun.seconds_max, 3e-3, 1e-9);
}

TEST(Engine, GarbageMixesNothingIsCountedAndAborted) {
  struct Case {
    const char* what;
    Header header;
  };
  const std::vector<Case> cases{
      {"wrong chunk", {.kind = Kind::kChunk, .chunk = 1, .exchange = kMine, .payload_bytes = 40}},
      {"chunk out of range",
       {.kind = Kind::kChunk, .chunk = 99, .exchange = kMine, .payload_bytes = 40}},
      {"too short", {.kind = Kind::kChunk, .exchange = kMine, .payload_bytes = 39}},
      {"too long", {.kind = Kind::kChunk, .exchange = kMine, .payload_bytes = 44}},
      {"other encoding",
       {.kind = Kind::kChunk, .encoding = Encoding::kInt8, .exchange = kMine, .payload_bytes = 14}},
      {"early done", {.kind = Kind::kDone, .exchange = kMine}},
      {"second accept", {.kind = Kind::kAccept, .exchange = kMine}},
      {"busy in the middle", {.kind = Kind::kBusy, .exchange = kMine}},
      {"a control frame with a payload",
       {.kind = Kind::kAbort, .exchange = kMine, .payload_bytes = 4}},
      {"foreign exchange", {.kind = Kind::kChunk, .exchange = {77, 1}, .payload_bytes = 40}},
      {"exchange not begun", {.kind = Kind::kChunk, .exchange = {kSelf, 2}, .payload_bytes = 40}},
  };
  for (const Case& c : cases) {
    Bench b(Side::kActive);
    b.Tell(StepsMade{1});
    b.Frame(Kind::kAccept, kMine);
    b.Tell(FrameArrived{.peer = kPeer, .header = c.header});
    EXPECT_EQ(b.Count(EffectKind::kMix), 0u) << c.what;
    EXPECT_EQ(b.engine.counts().rejected, 1) << c.what;
    ASSERT_FALSE(b.Sent().empty()) << c.what;
    EXPECT_EQ(b.Sent()[0], Kind::kAbort) << c.what;
  }
}

TEST(Engine, ASpoiltChunkTearsTheExchange) {
  Bench b(Side::kActive);
  b.Tell(StepsMade{1});
  b.Frame(Kind::kAccept, kMine);
  b.Frame(Kind::kChunk, kMine, 0, 40);
  b.Tell(ChunkSpoilt{});
  EXPECT_EQ(b.Sent()[0], Kind::kAbort);
  EXPECT_EQ(b.engine.counts().begun.torn, 1);
  EXPECT_EQ(b.engine.counts().rejected, 1);
}

TEST(Engine, FramesOfAnExchangeThatHasEndedAreDropped) {
  Bench b(Side::kActive);
  b.Tell(StepsMade{1});
  b.now += 2s;
  b.Tell(Tick{});
  EXPECT_EQ(b.Sent()[0], Kind::kAbort);
  EXPECT_EQ(b.engine.counts().begun.timed_out, 1);
  b.Frame(Kind::kAccept, kMine);
  b.Frame(Kind::kChunk, kMine, 0, 40);
  EXPECT_EQ(b.Count(EffectKind::kMix), 0u);
  EXPECT_EQ(b.engine.counts().rejected, 0);
}

TEST(Engine, ALateChunkIsMixedRatherThanCutOffByTheDeadlineItMissed) {
  Bench b(Side::kPassive);
  b.Frame(Kind::kOffer, kTheirs);
  b.now += 5s;
  b.Frame(Kind::kChunk, kTheirs, 0, 40);
  EXPECT_EQ(b.Count(EffectKind::kMix), 1u);
  b.Tell(ChunkMixed{});
  EXPECT_TRUE(b.engine.exchange().has_value());
}

TEST(Engine, TheDebtIsCappedAndAnOfferNotTakenUpSpendsNothing) {
  Bench b(Side::kActive, 1);
  b.Tell(StepsMade{50});
  b.Frame(Kind::kRefuse, kMine);
  EXPECT_EQ(b.engine.counts().begun.refused, 1);
  b.now += 1s;
  b.Tell(Tick{});
  EXPECT_THAT(b.Sent(), ElementsAre(Kind::kOffer));
  const ExchangeId second{kSelf, 2};
  b.Frame(Kind::kAccept, second);
  b.Frame(Kind::kChunk, second, 0, 40);
  b.Tell(ChunkMixed{});
  b.Frame(Kind::kDone, second);
  b.now += 1s;
  b.Tell(Tick{});
  EXPECT_FALSE(b.engine.exchange().has_value());  // fifty steps owed one exchange, and it was made
  EXPECT_TRUE(b.engine.AwaitsSteps());
}

TEST(Engine, FractionsOfAnExchangeAddUpAndZeroIsNone) {
  Bench half(Side::kActive, 1, {.per_step = 0.5});
  half.Tell(StepsMade{1});
  EXPECT_FALSE(half.engine.exchange().has_value());
  half.Tell(StepsMade{1});
  EXPECT_TRUE(half.engine.exchange().has_value());
  Bench none(Side::kActive, 1, {.per_step = 0});
  none.Tell(StepsMade{100});
  EXPECT_FALSE(none.engine.exchange().has_value());
  EXPECT_FALSE(none.engine.AwaitsSteps());
}

TEST(Engine, APolicyHoldsFromTheNextOfferOn) {
  Bench b(Side::kActive, 1, {.per_step = 4});
  b.Tell(StepsMade{4});
  EXPECT_EQ(b.engine.exchange()->terms().encoding, Encoding::kFloat32);
  b.Tell(PolicyChanged{{.per_step = 1, .encoding = Encoding::kInt8}});
  EXPECT_EQ(b.engine.exchange()->terms().encoding, Encoding::kFloat32);
  b.Tell(PeerLost{kPeer});
  b.now += 20s;
  b.Tell(StepsMade{1});
  EXPECT_EQ(b.engine.exchange()->terms().encoding, Encoding::kInt8);
}

TEST(Engine, APolicyOfNoExchangesForgivesTheDebt) {
  Bench b(Side::kPassive, 1, {.per_step = 4});
  b.Tell(StepsMade{1});
  b.Tell(PolicyChanged{{.per_step = 0}});
  b.Tell(PolicyChanged{{.per_step = 1}});
  b.Tell(ViewChanged{{.epoch = 9, .side = Side::kActive, .neighbours = {{kOther, "c"}}}});
  EXPECT_FALSE(b.engine.exchange().has_value());
  b.Tell(StepsMade{1});
  EXPECT_TRUE(b.engine.exchange().has_value());
}

TEST(Engine, AViewWaitsForTheEndOfTheExchangeAndAnOlderOneIsIgnored) {
  Bench b(Side::kPassive);
  b.Frame(Kind::kOffer, kTheirs);
  b.Tell(ViewChanged{{.epoch = 3, .side = Side::kActive, .neighbours = {{kOther, "c"}}}});
  b.Tell(ViewChanged{{.epoch = 2, .side = Side::kPassive, .neighbours = {}}});
  EXPECT_TRUE(b.engine.exchange().has_value());
  EXPECT_EQ(b.engine.counts().view_epoch, 1u);
  b.Frame(Kind::kAbort, kTheirs);
  EXPECT_EQ(b.engine.counts().view_epoch, 3u);
  EXPECT_EQ(b.Count(EffectKind::kSetAddress), 1u);
  EXPECT_EQ(b.Count(EffectKind::kForget), 0u);
  b.now += 2s;
  b.Tell(Tick{});
  EXPECT_EQ(b.Count(EffectKind::kForget), 1u);  // once our last word to it has left
}

TEST(Engine, AnOfferFromThePartnerMeansThatTheOldExchangeIsOver) {
  Bench b(Side::kPassive);
  b.Frame(Kind::kOffer, kTheirs);
  b.Frame(Kind::kOffer, {kPeer, 5});
  EXPECT_EQ(b.engine.counts().torn, 1);
  EXPECT_EQ(b.Sent()[0], Kind::kAccept);
  EXPECT_EQ(b.engine.exchange()->terms().id, (ExchangeId{kPeer, 5}));
}

TEST(Engine, AfterStopNothingNewBeginsButWhatRunsEnds) {
  Bench b(Side::kPassive, 1);
  b.Frame(Kind::kOffer, kTheirs);
  b.Tell(StopBegun{});
  b.Frame(Kind::kChunk, kTheirs, 0, 40);
  b.Tell(ChunkMixed{});
  b.Frame(Kind::kDone, kTheirs);
  EXPECT_EQ(b.engine.counts().completed, 1);
  b.Frame(Kind::kOffer, {kPeer, 5});
  EXPECT_THAT(b.Sent(), ElementsAre(Kind::kRefuse));
}

TEST(Engine, WhenIdleWhatRunsEndsAndNothingNewBeginsUntilItIsAnotherMember) {
  Bench passive(Side::kPassive, 1);
  passive.Frame(Kind::kOffer, kTheirs);
  passive.Tell(IdleBegun{});
  passive.Frame(Kind::kChunk, kTheirs, 0, 40);
  passive.Tell(ChunkMixed{});
  passive.Frame(Kind::kDone, kTheirs);
  EXPECT_EQ(passive.engine.counts().completed, 1);
  passive.Frame(Kind::kOffer, {kPeer, 5});
  EXPECT_THAT(passive.Sent(), ElementsAre(Kind::kRefuse));

  Bench active(Side::kActive, 1);
  active.Tell(FinishBegun{});
  active.Frame(Kind::kBusy, kMine);
  active.Tell(IdleBegun{});
  active.now += 10s;
  active.Tell(Tick{});
  EXPECT_THAT(active.Sent(), IsEmpty());
  active.Tell(IdentityChanged{4});
  active.Tell(ViewChanged{{.epoch = 2, .side = Side::kActive, .neighbours = {{kPeer, "a"}}}});
  active.Tell(BackToBackSet{true});
  EXPECT_THAT(active.Sent(), ElementsAre(Kind::kOffer));
}

TEST(Engine, AloneItIsSettledOnceFinished) {
  Bench b(Side::kActive);
  b.Tell(ViewChanged{{.epoch = 2, .side = Side::kActive, .neighbours = {}}});
  EXPECT_FALSE(b.engine.counts().settled);
  b.Tell(FinishBegun{});
  EXPECT_TRUE(b.engine.counts().settled);
}

}  // namespace
}  // namespace grapevine::gossip
