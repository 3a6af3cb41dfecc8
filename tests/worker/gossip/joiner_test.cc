#include "worker/gossip/joiner.h"

#include <algorithm>

#include "gtest/gtest.h"

namespace grapevine::gossip {
namespace {

constexpr Time kNow = Time{} + 10s;
constexpr ChunkGrid kGrid{.elements = 25, .chunk_elements = 10};
constexpr MemberId kSelf = 9;

struct Copy {
  Copy() { joiner.Start(kNow, kSelf, {{1, "a"}, {2, "b"}}, effects); }

  bool Frame(MemberId donor, Kind kind, uint32_t chunk = 0, uint32_t bytes = 0) {
    effects = {};
    return joiner.OnFrame(now, donor,
                          {.kind = kind,
                           .chunk = chunk,
                           .exchange = {.active = kSelf, .counter = counter},
                           .payload_bytes = bytes},
                          effects);
  }
  // Each donor of the round answers that it is busy.
  void RefuseAll() {
    for (MemberId donor : {1, 2}) {
      EXPECT_TRUE(Asked(donor));
      Frame(donor, Kind::kStateRefuse);
      ++counter;
    }
  }
  size_t Count(Effect::Kind kind) const {
    return std::ranges::count_if(effects.list, [kind](const Effect& e) { return e.kind == kind; });
  }
  size_t Requests() const {
    return std::ranges::count_if(
        effects.list, [](const Effect& e) { return e.header.kind == Kind::kStateRequest; });
  }
  // Whether `donor` was just asked to open.
  bool Asked(MemberId donor) const {
    return std::ranges::any_of(effects.list, [donor](const Effect& e) {
      return e.header.kind == Kind::kStateOpen && e.peer == donor;
    });
  }

  Joiner joiner{kGrid};
  Effects effects;
  Time now = kNow;
  uint64_t counter = 1;
};

TEST(Joiner, CopiesAllChunksInOrderWithAFewRequestsOut) {
  Copy copy;
  EXPECT_TRUE(copy.Asked(1));
  EXPECT_TRUE(copy.Frame(1, Kind::kStateAccept));
  size_t requested = copy.Requests();
  EXPECT_EQ(requested, Joiner::kAhead);
  for (uint32_t chunk = 0; chunk < 6; ++chunk) {
    ASSERT_TRUE(copy.Frame(1, Kind::kStateChunk, chunk, chunk % 3 == 2 ? 20 : 40));
    ASSERT_EQ(copy.Count(Effect::Kind::kLoad), 1u);
    copy.effects = {};
    copy.joiner.OnLoaded(kNow, true, copy.effects);
    requested += copy.Requests();
  }
  EXPECT_EQ(requested, 6u);
  EXPECT_EQ(copy.Count(Effect::Kind::kCopied), 1u);
  EXPECT_EQ(copy.Count(Effect::Kind::kForget), 2u);
  EXPECT_FALSE(copy.joiner.active());
}

TEST(Joiner, WhateverGoesWrongTheNextDonorBeginsAtTheStart) {
  for (int what = 0; what < 6; ++what) {
    Copy copy;
    copy.Frame(1, Kind::kStateAccept);
    copy.Frame(1, Kind::kStateChunk, 0, 40);
    copy.effects = {};
    copy.joiner.OnLoaded(kNow, true, copy.effects);
    copy.effects = {};
    bool fine = true;
    if (what == 0) fine = copy.Frame(1, Kind::kStateRefuse);
    if (what == 1) copy.joiner.OnLost(kNow, 1, copy.effects);
    if (what == 2) copy.joiner.OnTime(kNow + Joiner::kSilence, copy.effects);
    if (what == 3) fine = !copy.Frame(1, Kind::kStateChunk, 2, 40);  // not the next
    if (what == 4) fine = !copy.Frame(1, Kind::kStateChunk, 1, 36);  // cut short
    if (what == 5) {
      copy.Frame(1, Kind::kStateChunk, 1, 40);
      copy.effects = {};
      copy.joiner.OnLoaded(kNow, false, copy.effects);
    }
    EXPECT_TRUE(fine) << what;
    EXPECT_TRUE(copy.Asked(2)) << what;
    // The old donor's words do not count any more.
    EXPECT_TRUE(copy.Frame(1, Kind::kStateChunk, 1, 40));
    EXPECT_TRUE(copy.effects.list.empty());
    copy.counter = 2;
    EXPECT_TRUE(copy.Frame(2, Kind::kStateAccept));
    EXPECT_EQ(copy.Requests(), Joiner::kAhead);
    EXPECT_EQ(copy.effects.list[0].header.chunk, 0u);
  }
}

TEST(Joiner, FailsOnceEveryDonorHas) {
  Copy copy;
  copy.joiner.OnLost(kNow, 1, copy.effects);
  EXPECT_EQ(copy.Count(Effect::Kind::kForget), 0u);
  copy.joiner.OnTime(kNow + Joiner::kSilence, copy.effects);
  EXPECT_EQ(copy.Count(Effect::Kind::kForget), 2u);
  EXPECT_EQ(copy.Count(Effect::Kind::kCopyFailed), 1u);
  EXPECT_FALSE(copy.joiner.active());
  EXPECT_TRUE(copy.Frame(2, Kind::kStateAccept));  // late: dropped
  Effects none;
  Joiner alone(kGrid);
  alone.Start(kNow, kSelf, {}, none);
  EXPECT_EQ(none.list.at(0).kind, Effect::Kind::kCopyFailed);
}

TEST(Joiner, BusyDonorsAreAskedAgainAfterAPause) {
  Copy copy;
  copy.RefuseAll();
  EXPECT_TRUE(copy.effects.list.empty());
  EXPECT_TRUE(copy.Frame(2, Kind::kStateAccept));  // late
  copy.joiner.OnLost(kNow, 2, copy.effects);
  copy.joiner.OnTime(kNow + Joiner::kFirstPause - 1ns, copy.effects);
  EXPECT_TRUE(copy.effects.list.empty());
  EXPECT_EQ(copy.effects.wake_at, kNow + Joiner::kFirstPause);
  copy.joiner.OnTime(kNow + Joiner::kFirstPause, copy.effects);
  ASSERT_TRUE(copy.Asked(1));
  EXPECT_TRUE(copy.Frame(1, Kind::kStateAccept));
  EXPECT_EQ(copy.Requests(), Joiner::kAhead);
}

TEST(Joiner, DonorsThatStayBusyFailTheCopyAfterRoundsThatGrowRare) {
  Copy copy;
  int rounds = 0;
  while (true) {
    copy.RefuseAll();
    ++rounds;
    if (!copy.joiner.active()) break;
    copy.joiner.OnTime(copy.now, copy.effects);
    EXPECT_LE(copy.effects.wake_at - copy.now, Joiner::kLongestPause);
    copy.now = copy.effects.wake_at;
    ASSERT_LE(copy.now, kNow + Joiner::kRounds);
    copy.joiner.OnTime(copy.now, copy.effects);
  }
  EXPECT_EQ(copy.Count(Effect::Kind::kCopyFailed), 1u);
  EXPECT_GE(copy.now, kNow + Joiner::kRounds - Joiner::kLongestPause);
  EXPECT_LT(rounds, 30);
}

}  // namespace
}  // namespace grapevine::gossip
