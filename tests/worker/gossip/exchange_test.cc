#include "worker/gossip/exchange.h"

#include "gtest/gtest.h"

namespace grapevine::gossip {
namespace {

using Outcome = Exchange::Outcome;

constexpr Time kNow = Time{} + 10s;
constexpr ChunkGrid kGrid{.elements = 95, .chunk_elements = 10};
constexpr Exchange::Terms kOffered{.id = {1, 1}, .peer = 2, .begun_here = true};
constexpr Exchange::Terms kAccepted{.id = {2, 1}, .peer = 2};

Header Of(const Exchange& exchange, Kind kind, uint32_t chunk = 0, uint32_t bytes = 0) {
  return {.kind = kind, .chunk = chunk, .exchange = exchange.terms().id, .payload_bytes = bytes};
}

TEST(Exchange, TheAnswersToAnOfferEndOrBeginIt) {
  for (const auto& [kind, outcome] :
       {std::pair(Kind::kBusy, Outcome::kBusy), std::pair(Kind::kRefuse, Outcome::kRefused),
        std::pair(Kind::kAbort, Outcome::kTimedOut)}) {
    Effects effects;
    Exchange exchange(kOffered, kGrid, kNow, 1s, effects);
    EXPECT_EQ(effects.list.at(0).header.kind, Kind::kOffer);
    EXPECT_FALSE(exchange.MaySend());
    EXPECT_TRUE(exchange.OnFrame(kNow, Of(exchange, kind), effects));
    EXPECT_EQ(exchange.outcome(), outcome);
  }
  Effects effects;
  Exchange exchange(kOffered, kGrid, kNow, 1s, effects);
  EXPECT_TRUE(exchange.OnFrame(kNow + 500ms, Of(exchange, Kind::kAccept), effects));
  EXPECT_TRUE(exchange.MaySend());
  EXPECT_EQ(exchange.deadline(), kNow + 1500ms);
}

TEST(Exchange, ALastChunkIsShorterAndMustBe) {
  Effects effects;
  Exchange exchange(kAccepted, kGrid, kNow, 1s, effects);
  for (uint32_t chunk = 0; chunk < 9; ++chunk) {
    ASSERT_TRUE(exchange.OnFrame(kNow, Of(exchange, Kind::kChunk, chunk, 40), effects));
    exchange.OnMixed({}, effects);
  }
  Exchange other = exchange;
  EXPECT_FALSE(other.OnFrame(kNow, Of(other, Kind::kChunk, 9, 40), effects));
  EXPECT_EQ(other.outcome(), Outcome::kTorn);
  EXPECT_TRUE(exchange.OnFrame(kNow, Of(exchange, Kind::kChunk, 9, 20), effects));
  exchange.OnMixed({}, effects);
  EXPECT_EQ(exchange.state(), Exchange::State::kAwaitingDone);
  EXPECT_TRUE(exchange.OnFrame(kNow, Of(exchange, Kind::kDone), effects));
  EXPECT_EQ(exchange.outcome(), Outcome::kCompleted);
}

TEST(Exchange, TornOnceAChunkWasSentTimedOutBefore) {
  Effects effects;
  Exchange before(kAccepted, kGrid, kNow, 1s, effects);
  before.OnLost();
  EXPECT_EQ(before.outcome(), Outcome::kTimedOut);
  Exchange after(kAccepted, kGrid, kNow, 1s, effects);
  after.SendChunk(effects);
  after.GiveUp(effects);
  EXPECT_EQ(after.outcome(), Outcome::kTorn);
  EXPECT_EQ(effects.list.back().header.kind, Kind::kAbort);
}

TEST(Exchange, AChunkThatComesBeforeOursWasSentHasOursSnapshottedFirst) {
  Effects effects;
  Exchange exchange(kAccepted, kGrid, kNow, 1s, effects);
  effects.list.clear();
  ASSERT_TRUE(exchange.OnFrame(kNow, Of(exchange, Kind::kChunk, 0, 40), effects));
  ASSERT_EQ(effects.list.size(), 2u);
  EXPECT_EQ(effects.list[0].kind, Effect::Kind::kSendChunk);
  EXPECT_EQ(effects.list[1].kind, Effect::Kind::kMix);
  EXPECT_FALSE(exchange.MaySend());  // not while the driver mixes
}

}  // namespace
}  // namespace grapevine::gossip
