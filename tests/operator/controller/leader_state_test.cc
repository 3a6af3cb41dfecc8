#include "operator/controller/leader_state.h"

#include <cstdint>
#include <random>

#include "gtest/gtest.h"

namespace grapevine::controller {
namespace {

using Step = LeaderState::Step;

constexpr Time kStart{100s};

LeaderOptions Options(const std::string& identity = "a") { return {.identity = identity}; }

LeaseRecord Held(const std::string& holder, const std::string& version, int transitions = 3) {
  return {.holder = holder, .length = 15s, .transitions = transitions, .version = version};
}

// A leader since kStart.
LeaderState Leader() {
  LeaderState state(Options());
  state.OnRead(std::nullopt, kStart);
  state.OnWritten(Held("a", "1", 0), kStart);
  return state;
}

TEST(LeaderState, WhoeverFindsNoLeaseMakesIt) {
  LeaderState state(Options());
  EXPECT_EQ(state.NextStep(kStart).step, Step::kRead);
  state.OnRead(std::nullopt, kStart);
  EXPECT_EQ(state.NextStep(kStart).step, Step::kCreate);
  EXPECT_EQ(state.Ours().transitions, 0);
  EXPECT_FALSE(state.leading());
  state.OnWritten(Held("a", "1", 0), kStart);
  EXPECT_TRUE(state.leading());
}

TEST(LeaderState, ALeaseOfAnotherIsTakenOnlyOnceItHasRunOutByTheOwnClock) {
  LeaderState state(Options());
  state.OnRead(Held("b", "7"), kStart);
  EXPECT_EQ(state.NextStep(kStart).step, Step::kWait);
  EXPECT_EQ(state.NextStep(kStart).until, kStart + 500ms);
  EXPECT_EQ(state.NextStep(kStart + 500ms).step, Step::kRead);
  // Renewed, as the version says, though holder and times are the same.
  state.OnRead(Held("b", "8"), kStart + 10s);
  state.OnRead(Held("b", "8"), kStart + 24s);
  EXPECT_EQ(state.NextStep(kStart + 25s - 1ns).step, Step::kRead);
  EXPECT_EQ(state.NextStep(kStart + 25s).step, Step::kTake);
  EXPECT_EQ(state.Ours(), Held("a", "8", 4));
}

TEST(LeaderState, TheLastWaitEndsWhenTheLeaseRunsOut) {
  LeaderState state(Options());
  state.OnRead(Held("b", "7"), kStart);
  state.OnRead(Held("b", "7"), kStart + 14800ms);
  EXPECT_EQ(state.NextStep(kStart + 14800ms).until, kStart + 15s);
}

TEST(LeaderState, AReleasedLeaseIsTakenAtOnce) {
  LeaderState state(Options());
  state.OnRead(Held("", "7"), kStart);
  EXPECT_EQ(state.NextStep(kStart).step, Step::kTake);
  EXPECT_EQ(state.Ours().transitions, 4);
}

TEST(LeaderState, WhatAnEarlierLifeOfThisProcessHeldIsItsOwn) {
  LeaderState state(Options());
  state.OnRead(Held("a", "7"), kStart);
  EXPECT_EQ(state.NextStep(kStart).step, Step::kTake);
  EXPECT_EQ(state.Ours().transitions, 3);
}

TEST(LeaderState, ALeaderRenewsEveryTwoSeconds) {
  const LeaderState state = Leader();
  EXPECT_EQ(state.NextStep(kStart).until, kStart + 2s);
  EXPECT_EQ(state.NextStep(kStart + 2s).step, Step::kRenew);
}

TEST(LeaderState, ALeaderThatCannotRenewGivesUpBeforeAnybodyMayTakeOver) {
  LeaderState state = Leader();
  state.OnFailed(kStart + 9500ms);
  EXPECT_EQ(state.NextStep(kStart + 9600ms).until, kStart + 10s);
  EXPECT_EQ(state.NextStep(kStart + 10s).step, Step::kLost);
}

TEST(LeaderState, ADeadlineCountsFromTheBeginningOfTheLastGoodRenewal) {
  LeaderState state = Leader();
  state.OnWritten(Held("a", "2", 0), kStart + 2s);
  EXPECT_EQ(state.NextStep(kStart + 11s).step, Step::kRenew);
  EXPECT_EQ(state.NextStep(kStart + 12s).step, Step::kLost);
}

TEST(LeaderState, AfterAFailureTheRecordIsReadSinceTheWriteMayHaveBeenDone) {
  LeaderState state = Leader();
  state.OnFailed(kStart + 2s);
  EXPECT_EQ(state.NextStep(kStart + 2s).step, Step::kWait);
  EXPECT_EQ(state.NextStep(kStart + 3s).step, Step::kRead);
  state.OnRead(Held("a", "2", 0), kStart + 3s);
  EXPECT_EQ(state.NextStep(kStart + 3s).step, Step::kRenew);
  EXPECT_EQ(state.Ours(), Held("a", "2", 0));
}

TEST(LeaderState, ALeaderThatFindsAnotherInItsPlaceHasLost) {
  for (const auto& found : {std::optional(Held("b", "9")), std::optional(Held("", "9")),
                            std::optional<LeaseRecord>()}) {
    LeaderState state = Leader();
    state.OnConflict();
    EXPECT_EQ(state.NextStep(kStart + 2s).step, Step::kRead);
    state.OnRead(found, kStart + 2s);
    EXPECT_EQ(state.NextStep(kStart + 2s).step, Step::kLost);
  }
}

TEST(LeaderState, ACandidateThatComesSecondReadsWhoCameFirst) {
  LeaderState state(Options());
  state.OnRead(std::nullopt, kStart);
  state.OnConflict();
  EXPECT_EQ(state.NextStep(kStart).step, Step::kRead);
  state.OnRead(Held("b", "1", 0), kStart);
  EXPECT_EQ(state.NextStep(kStart).step, Step::kWait);
}

TEST(LeaderState, ACandidateWaitsAfterAFailure) {
  LeaderState state(Options());
  state.OnFailed(kStart);
  EXPECT_EQ(state.NextStep(kStart).until, kStart + 2s);
  EXPECT_EQ(state.NextStep(kStart + 2s).step, Step::kRead);
}

TEST(LeaderState, GivenBackALeaseNamesNobodyAndIsShort) {
  const LeaderState state = Leader();
  EXPECT_EQ(state.Released(),
            (LeaseRecord{.holder = "", .length = 1s, .transitions = 0, .version = "1"}));
}

TEST(LeaderState, WhateverStandsInALeaseIsReadWithinBounds) {
  EXPECT_EQ(ReadLease({{"spec", 3}}), LeaseRecord());
  EXPECT_EQ(ReadLease(nlohmann::json::object()), LeaseRecord());
  EXPECT_EQ(ReadLease({{"metadata", {{"resourceVersion", "4"}}},
                       {"spec",
                        {{"holderIdentity", "x"},
                         {"leaseDurationSeconds", INT64_MAX},
                         {"leaseTransitions", "many"}}}}),
            (LeaseRecord{.holder = "x", .length = 86'400s, .version = "4"}));
  EXPECT_EQ(ReadLease({{"spec", {{"leaseDurationSeconds", -5}}}}).length, 0s);
}

// Two candidates on one record, whatever the order of their turns: never two leaders at once.
TEST(LeaderState, NeverTwoAtOnce) {
  std::mt19937_64 rng(7);
  std::optional<LeaseRecord> record;
  int version = 0;
  LeaderState states[] = {LeaderState(Options("a")), LeaderState(Options("b"))};
  bool cut_off[] = {false, false};
  int led[] = {0, 0};
  Time now = kStart;
  for (int turn = 0; turn < 20'000; ++turn) {
    now += std::chrono::milliseconds(rng() % 800);
    const size_t i = rng() % 2;
    if (rng() % 50 == 0) cut_off[i] = !cut_off[i];
    LeaderState& state = states[i];
    switch (state.NextStep(now).step) {
      case Step::kWait:
        break;
      case Step::kRead:
        cut_off[i] ? state.OnFailed(now) : state.OnRead(record, now);
        break;
      case Step::kLost:
        state = LeaderState(Options(i == 0 ? "a" : "b"));  // a new process
        break;
      default: {
        const LeaseRecord ours = state.Ours();
        if (cut_off[i]) {
          state.OnFailed(now);
        } else if (ours.version != (record ? record->version : "")) {
          state.OnConflict();
        } else {
          record = ours;
          record->version = std::to_string(++version);
          state.OnWritten(*record, now);
          ++led[i];
        }
      }
    }
    const auto leads = [&](const LeaderState& s) {
      return s.leading() && s.NextStep(now).step != Step::kLost;
    };
    ASSERT_FALSE(leads(states[0]) && leads(states[1])) << "turn " << turn;
  }
  EXPECT_GT(led[0], 0);
  EXPECT_GT(led[1], 0);
}

}  // namespace
}  // namespace grapevine::controller
