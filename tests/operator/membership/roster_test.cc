#include "operator/membership/roster.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grapevine::membership {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr Time kNow{1000s};

std::string PodOf(MemberId id) { return std::string("w-").append(std::to_string(id)); }

// A world in which everyone's pod runs, with streams open and reports fresh.
class RosterTest : public testing::Test {
 protected:
  Registrant& Member(MemberId id) {
    Registrant& registrant = Add(id);
    registrant.member = true;
    return registrant;
  }
  Registrant& Waiting(MemberId id) { return Add(id); }
  Registrant& Ready(MemberId id, Holds holds, Duration ago = 100ms) {
    Registrant& registrant = Add(id);
    registrant.holds = holds;
    registrant.ready_since = kNow - ago;
    return registrant;
  }
  std::string Decided(Time now = kNow) { return Describe(Decide(world_, now), now); }
  Decision Now() { return Decide(world_, kNow); }

  Observation world_;

 private:
  Registrant& Add(MemberId id) {
    world_.registrants.reserve(100);  // references stay
    world_.pods.push_back({PodOf(id)});
    world_.registrants.push_back({.id = id, .pod = PodOf(id), .last_report = kNow});
    return world_.registrants.back();
  }
};

TEST_F(RosterTest, NobodyNeedsNothing) {
  EXPECT_EQ(Decided(), "nothing to do\n");
  EXPECT_FALSE(Now().next_check.has_value());
}

TEST_F(RosterTest, MembersThatReportStay) {
  Member(1);
  Member(2).last_report = kNow - 3s;
  EXPECT_EQ(Decided(), "nothing to do\ncheck again in 2.000 s\n");
}

TEST_F(RosterTest, PodsThatEndTakeTheirMembersAlongAtOnce) {
  for (MemberId id = 1; id <= 5; ++id) Member(id);
  world_.pods[0].state = PodState::kTerminating;
  world_.pods[1].state = PodState::kDisrupted;
  world_.pods[2].state = PodState::kFinished;
  world_.pods.erase(world_.pods.begin() + 3);
  EXPECT_EQ(Decided(),
            "remove 1: its pod w-1 is being deleted\n"
            "remove 2: its pod w-2 is being evicted\n"
            "remove 3: its pod w-3 has finished\n"
            "remove 4: its pod w-4 is gone\n"
            "check again in 5.000 s\n");
}

TEST_F(RosterTest, ABrokenStreamIsForgivenForASecond) {
  Member(1).broken_since = kNow - 999ms;
  Member(2);
  EXPECT_EQ(Decided(), "nothing to do\ncheck again in 0.001 s\n");
  EXPECT_EQ(Decided(kNow + 1ms),
            "remove 1: its stream has been broken for 1.0 s\ncheck again in 4.999 s\n");
}

TEST_F(RosterTest, SilenceIsForgivenForFiveSecondsThoughTheStreamIsOpen) {
  Member(1).last_report = kNow - 4999ms;
  EXPECT_THAT(Now().remove, IsEmpty());
  Member(2).last_report = kNow - 5s;
  EXPECT_EQ(Decided(), "remove 2: no report for 5.0 s\ncheck again in 0.001 s\n");
}

TEST_F(RosterTest, WhoSaysThatItLeavesLeaves) {
  Member(1).leaving = true;
  EXPECT_EQ(Decided(), "remove 1: it said that it leaves\n");
}

TEST_F(RosterTest, APodIsOneMemberAtATime) {
  Member(1);
  Registrant& again = Ready(2, Holds::kState);
  again.pod = PodOf(1);
  Member(3);
  EXPECT_EQ(Decided(),
            "remove 1: its pod w-1 registered anew as member 2\n"
            "assign 2 copy: the roster has members to copy from\n"
            "check again in 5.000 s\n");
}

TEST_F(RosterTest, JoinsWaitAHundredMillisecondsForEachOther) {
  Member(1);
  Ready(2, Holds::kCopy, 0ms).assigned = Role::kCopy;
  EXPECT_EQ(Decided(), "nothing to do\ncheck again in 0.100 s\n");
  Ready(3, Holds::kCopy, 99ms).assigned = Role::kCopy;
  EXPECT_EQ(Decided(), "nothing to do\ncheck again in 0.001 s\n");
  EXPECT_EQ(Decided(kNow + 1ms), "admit 2 3\ncheck again in 4.999 s\n");
}

TEST_F(RosterTest, ALeaveTakesWaitingJoinersAlong) {
  Member(1);
  Member(4).leaving = true;
  Ready(2, Holds::kCopy, 0ms).assigned = Role::kCopy;
  EXPECT_EQ(Decided(), "remove 4: it said that it leaves\nadmit 2\ncheck again in 5.000 s\n");
}

TEST_F(RosterTest, BesideMembersOnlyCopiesAreAdmitted) {
  world_.checkpoint = "c1";
  Member(1);
  Ready(2, Holds::kSeed).assigned = Role::kSeed;
  Ready(3, Holds::kCheckpoint).assigned = Role::kCheckpoint;
  Ready(4, Holds::kState);
  Waiting(5);
  Waiting(6).assigned = Role::kCopy;
  Ready(7, Holds::kCopy).assigned = Role::kCopy;
  EXPECT_EQ(Decided(),
            "admit 7\n"
            "assign 2 copy: the roster has members to copy from\n"
            "assign 3 copy: the roster has members to copy from\n"
            "assign 4 copy: the roster has members to copy from\n"
            "assign 5 copy: the roster has members to copy from\n"
            "check again in 5.000 s\n");
}

TEST_F(RosterTest, FirstMembersAreThoseReadyFromTheSeedInOneDecision) {
  Ready(1, Holds::kSeed, 100ms).assigned = Role::kSeed;
  Ready(2, Holds::kSeed, 0ms).assigned = Role::kSeed;
  Waiting(3).assigned = Role::kSeed;
  EXPECT_EQ(Decided(),
            "start from the seed\n"
            "admit 1 2\n"
            "assign 3 copy: the roster has members to copy from\n"
            "check again in 5.000 s\n");
}

TEST_F(RosterTest, WhoRegistersFirstIsToldToBeginFromTheSeed) {
  Waiting(1);
  EXPECT_EQ(Decided(),
            "assign 1 seed: the roster is empty and there is no checkpoint\n"
            "check again in 5.000 s\n");
}

TEST_F(RosterTest, ACheckpointIsPreferredOverTheSeed) {
  world_.checkpoint = "c2";
  Ready(1, Holds::kSeed).assigned = Role::kSeed;
  Registrant& older = Ready(2, Holds::kCheckpoint);
  older.assigned = Role::kCheckpoint;
  older.assigned_checkpoint = older.held_checkpoint = "c1";
  EXPECT_EQ(Decided(),
            "assign 1 checkpoint c2: the roster is empty and nobody holds the job's state\n"
            "assign 2 checkpoint c2: the roster is empty and nobody holds the job's state\n"
            "check again in 5.000 s\n");
  older.assigned_checkpoint = older.held_checkpoint = "c2";
  EXPECT_EQ(Decided(),
            "start from checkpoint c2\n"
            "admit 2\n"
            "assign 1 copy: the roster has members to copy from\n"
            "check again in 5.000 s\n");
}

TEST_F(RosterTest, ASurvivorIsPreferredOverACheckpointAndAwaited) {
  world_.checkpoint = "c1";
  Registrant& loaded = Ready(1, Holds::kCheckpoint);
  loaded.assigned = Role::kCheckpoint;
  loaded.assigned_checkpoint = loaded.held_checkpoint = "c1";
  Registrant& survivor = Waiting(2);
  survivor.holds = Holds::kState;
  EXPECT_EQ(Decided(),
            "assign 1 copy: another registrant holds the job's state\n"
            "assign 2 keep: the roster is empty and it holds the job's state\n"
            "check again in 5.000 s\n");
  survivor.ready_since = kNow - 100ms;
  survivor.assigned = Role::kKeep;
  loaded.assigned = Role::kCopy;
  EXPECT_EQ(Decided(), "start from what a survivor holds\nadmit 2\ncheck again in 5.000 s\n");
}

TEST_F(RosterTest, ASurvivorWhoseStreamBreaksHoldsNobodyUpForMoreThanASecond) {
  Ready(1, Holds::kSeed).assigned = Role::kSeed;
  Registrant& survivor = Ready(2, Holds::kState);
  survivor.broken_since = kNow - 500ms;
  survivor.assigned = Role::kKeep;
  EXPECT_THAT(Now().admit, IsEmpty());
  EXPECT_EQ(Decided(kNow + 500ms),
            "forget 2: its stream has been broken for 1.0 s\n"
            "start from the seed\n"
            "admit 1\n"
            "check again in 4.500 s\n");
}

TEST_F(RosterTest, WhoWasCopyingWhenTheRosterEmptiedIsAssignedAgain) {
  world_.checkpoint = "c1";
  Member(1).leaving = true;
  Waiting(2).assigned = Role::kCopy;
  EXPECT_EQ(Decided(),
            "remove 1: it said that it leaves\n"
            "assign 2 checkpoint c1: the roster is empty and nobody holds the job's state\n"
            "check again in 5.000 s\n");
}

TEST_F(RosterTest, WhoHadCopiedWhenTheRosterEmptiedGoesOnAtOnce) {
  Member(1).leaving = true;
  Ready(2, Holds::kCopy, 0ms).assigned = Role::kCopy;
  EXPECT_EQ(Decided(),
            "remove 1: it said that it leaves\n"
            "start from what a survivor holds\n"
            "admit 2\n"
            "check again in 5.000 s\n");
}

TEST_F(RosterTest, WhatWasReadyBeforeItWasToldOtherwiseDoesNotCount) {
  world_.checkpoint = "c1";
  Ready(1, Holds::kState).assigned = Role::kCopy;  // it is being overwritten
  Registrant& loaded = Ready(2, Holds::kCheckpoint);
  loaded.held_checkpoint = "c1";
  loaded.assigned = Role::kCopy;
  EXPECT_EQ(Decided(),
            "assign 1 checkpoint c1: the roster is empty and nobody holds the job's state\n"
            "assign 2 checkpoint c1: the roster is empty and nobody holds the job's state\n"
            "check again in 5.000 s\n");
}

TEST_F(RosterTest, NobodyIsAdmittedWhosePodIsUnknownYetOrEnds) {
  Member(1);
  Ready(2, Holds::kCopy).assigned = Role::kCopy;
  world_.pods.erase(world_.pods.begin() + 1);
  EXPECT_EQ(Decided(), "nothing to do\ncheck again in 5.000 s\n");
  world_.pods.push_back({PodOf(2), PodState::kTerminating});
  EXPECT_EQ(Decided(), "forget 2: its pod w-2 is being deleted\ncheck again in 5.000 s\n");
}

TEST_F(RosterTest, ASurvivorOfAPodThatIsGoneHoldsNobodyUp) {
  Ready(1, Holds::kSeed).assigned = Role::kSeed;
  Ready(2, Holds::kState).assigned = Role::kKeep;
  world_.pods.pop_back();
  EXPECT_THAT(Now().admit, ElementsAre(1));
  EXPECT_EQ(Now().start, Start::kSeed);
}

TEST_F(RosterTest, AfterFinishNobodyIsAdmittedAndWhoWaitsIsStopped) {
  world_.finishing = true;
  Member(1);
  Ready(2, Holds::kCopy).assigned = Role::kCopy;
  Waiting(3);
  Member(4).leaving = true;
  EXPECT_EQ(Decided(), "remove 4: it said that it leaves\nstop 2 3\ncheck again in 5.000 s\n");
}

TEST_F(RosterTest, WhenAllAreLostAfterFinishTheJobTrainsOn) {
  world_.finishing = true;
  world_.checkpoint = "c1";
  Member(1).last_report = kNow - 6s;
  Waiting(2);
  EXPECT_EQ(Decided(),
            "remove 1: no report for 6.0 s\n"
            "leave finish: all members are lost\n"
            "assign 2 checkpoint c1: the roster is empty and nobody holds the job's state\n"
            "check again in 5.000 s\n");
}

}  // namespace
}  // namespace grapevine::membership
