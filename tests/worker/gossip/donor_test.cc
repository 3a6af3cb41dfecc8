#include "worker/gossip/donor.h"

#include "gtest/gtest.h"

namespace grapevine::gossip {
namespace {

constexpr Time kNow = Time{} + 10s;

struct Asked {
  bool fine;
  Effects effects;
  Kind answer() const { return effects.list.empty() ? Kind::kAbort : effects.list[0].header.kind; }
};

Asked Ask(Donor& donor, MemberId joiner, Kind kind, uint32_t chunk = 0, Time now = kNow) {
  Asked asked{};
  asked.fine = donor.OnFrame(
      now, joiner, {.kind = kind, .chunk = chunk, .exchange = {.active = joiner, .counter = 1}},
      asked.effects);
  return asked;
}

TEST(Donor, ServesTwoAtATimeAndSendsTheThirdAway) {
  Donor donor({.elements = 25, .chunk_elements = 10});
  EXPECT_EQ(Ask(donor, 1, Kind::kStateOpen).answer(), Kind::kStateAccept);
  EXPECT_EQ(Ask(donor, 2, Kind::kStateOpen).answer(), Kind::kStateAccept);
  EXPECT_EQ(Ask(donor, 3, Kind::kStateOpen).answer(), Kind::kStateRefuse);
  EXPECT_EQ(Ask(donor, 1, Kind::kStateOpen).answer(), Kind::kStateAccept);  // it begins again
  Ask(donor, 1, Kind::kStateClose);
  EXPECT_EQ(Ask(donor, 3, Kind::kStateOpen).answer(), Kind::kStateAccept);
  donor.OnLost(2);
  EXPECT_EQ(donor.joiners(), 1u);
}

TEST(Donor, SendsWeightsAndThenMomentumByChunk) {
  Donor donor({.elements = 25, .chunk_elements = 10});
  Ask(donor, 1, Kind::kStateOpen);
  for (uint32_t chunk = 0; chunk < 6; ++chunk) {
    const Asked asked = Ask(donor, 1, Kind::kStateRequest, chunk);
    ASSERT_EQ(asked.effects.list.size(), 1u);
    EXPECT_EQ(asked.effects.list[0].kind, Effect::Kind::kSendState);
    EXPECT_EQ(asked.effects.list[0].header.payload_bytes, chunk % 3 == 2 ? 20u : 40u);
  }
  EXPECT_FALSE(Ask(donor, 1, Kind::kStateRequest, 6).fine);
}

TEST(Donor, AStrangersRequestIsRefused) {
  Donor donor({.elements = 25, .chunk_elements = 10});
  EXPECT_EQ(Ask(donor, 1, Kind::kStateRequest).answer(), Kind::kStateRefuse);
  Effects effects;
  EXPECT_FALSE(donor.OnFrame(kNow, 1, {.kind = Kind::kStateOpen, .exchange = {2, 1}}, effects));
}

TEST(Donor, AnIdleJoinerLosesItsSlot) {
  Donor donor({.elements = 25, .chunk_elements = 10});
  Ask(donor, 1, Kind::kStateOpen);
  Effects effects;
  donor.OnTime(kNow, effects);
  EXPECT_EQ(effects.wake_at, kNow + Donor::kIdle);
  donor.OnTime(kNow + Donor::kIdle, effects);
  EXPECT_EQ(donor.joiners(), 0u);
}

TEST(Donor, ClosedItServesNobody) {
  Donor donor({.elements = 25, .chunk_elements = 10});
  Ask(donor, 1, Kind::kStateOpen);
  donor.SetOpen(false);
  EXPECT_EQ(Ask(donor, 1, Kind::kStateRequest).answer(), Kind::kStateRefuse);
  EXPECT_EQ(Ask(donor, 2, Kind::kStateOpen).answer(), Kind::kStateRefuse);
}

}  // namespace
}  // namespace grapevine::gossip
