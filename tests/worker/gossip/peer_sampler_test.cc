#include "worker/gossip/peer_sampler.h"

#include <map>
#include <set>

#include "gtest/gtest.h"

namespace grapevine::gossip {
namespace {

constexpr Time kNow = Time{} + 50s;

PeerSampler Make(MemberId peers, uint64_t seed = 1) {
  PeerSampler sampler(seed);
  std::vector<Neighbour> neighbours;
  for (MemberId id = 1; id <= peers; ++id) neighbours.push_back({.member = id, .address = "x"});
  sampler.SetNeighbours(neighbours);
  return sampler;
}

std::set<MemberId> Picked(PeerSampler& sampler, Time now, bool unsettled_first = false) {
  std::set<MemberId> picked;
  for (int i = 0; i < 200; ++i) {
    const auto pick = sampler.Pick(now, unsettled_first);
    if (const MemberId* peer = std::get_if<MemberId>(&pick)) picked.insert(*peer);
  }
  return picked;
}

TEST(PeerSampler, PicksEveryoneEquallyOften) {
  PeerSampler sampler = Make(5);
  std::map<MemberId, int> times;
  for (int i = 0; i < 5000; ++i) ++times[std::get<MemberId>(sampler.Pick(kNow, false))];
  ASSERT_EQ(times.size(), 5u);
  for (const auto& [peer, count] : times) EXPECT_NEAR(count, 1000, 150) << peer;
}

TEST(PeerSampler, WithNobodyThereIsNoTimeToWaitFor) {
  PeerSampler sampler = Make(0);
  EXPECT_EQ(std::get<Time>(sampler.Pick(kNow, false)), Time::max());
  EXPECT_TRUE(sampler.AllSettled());
}

TEST(PeerSampler, ABusyPeerIsNotAskedAgainAtOnceButSoon) {
  PeerSampler sampler = Make(2);
  sampler.OnBusy(1, kNow);
  EXPECT_EQ(Picked(sampler, kNow), (std::set<MemberId>{2}));
  sampler.OnBusy(2, kNow);
  const Time later = std::get<Time>(sampler.Pick(kNow, false));
  EXPECT_GT(later, kNow);
  EXPECT_LT(later, kNow + 1ms);
  EXPECT_EQ(Picked(sampler, kNow + 1ms).size(), 2u);
}

TEST(PeerSampler, RefusalsAndLossesBackOffFurtherEachTimeAndSuccessForgets) {
  PeerSampler sampler = Make(1);
  Time now = kNow;
  Duration last = 0s;
  for (int i = 0; i < 4; ++i) {
    sampler.OnLost(1, now);
    const Duration alone = std::get<Time>(sampler.Pick(now, false)) - now;
    EXPECT_GE(alone, last);
    last = alone;
    now += alone;
  }
  EXPECT_GE(last, 800ms);
  for (int i = 0; i < 40; ++i) sampler.OnLost(1, now);
  EXPECT_LE(std::get<Time>(sampler.Pick(now, false)) - now, 5s);
  sampler.OnCompleted(1, 1ms);
  EXPECT_EQ(Picked(sampler, now).size(), 1u);
}

TEST(PeerSampler, ATimeoutIsNotRepeatedBeforeTheHubHasJudged) {
  PeerSampler sampler = Make(1);
  sampler.OnTimeout(1, kNow);
  sampler.OnLost(1, kNow);  // a shorter reason does not shorten it
  EXPECT_GE(std::get<Time>(sampler.Pick(kNow, false)), kNow + 5s);
  EXPECT_EQ(sampler.PatienceWith(1), 2s);
}

TEST(PeerSampler, ANewViewForgivesRefusalsAndKeepsTheRest) {
  PeerSampler sampler = Make(2);
  sampler.OnRefused(1, kNow);
  sampler.OnTimeout(2, kNow);
  sampler.SetNeighbours(std::vector<Neighbour>{{1, "x"}, {2, "x"}, {3, "x"}});
  EXPECT_EQ(Picked(sampler, kNow), (std::set<MemberId>{1, 3}));
  sampler.SetNeighbours(std::vector<Neighbour>{{3, "x"}});
  EXPECT_FALSE(sampler.Contains(1));
  sampler.OnLost(1, kNow);  // unknown now: nothing happens
}

TEST(PeerSampler, UnsettledNeighboursComeFirst) {
  PeerSampler sampler = Make(3);
  sampler.SetSettled(1, true);
  sampler.SetSettled(2, true);
  EXPECT_EQ(Picked(sampler, kNow, true), (std::set<MemberId>{3}));
  EXPECT_EQ(Picked(sampler, kNow, false).size(), 3u);
  EXPECT_FALSE(sampler.AllSettled());
  sampler.SetSettled(3, true);
  EXPECT_TRUE(sampler.AllSettled());
  EXPECT_EQ(Picked(sampler, kNow, true).size(), 3u);
  sampler.UnsettleAll();
  EXPECT_FALSE(sampler.AllSettled());
}

}  // namespace
}  // namespace grapevine::gossip
