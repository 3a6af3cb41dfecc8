// Random lives of a roster. Whatever happens, what must always hold is asked of each decision by
// brute force.

#include <map>
#include <random>
#include <set>

#include "gtest/gtest.h"
#include "operator/membership/roster.h"

namespace grapevine::membership {
namespace {

class Life {
 public:
  explicit Life(uint64_t seed) : rng_(seed) {
    for (int slot = 0; slot < 6; ++slot)
      world_.pods.push_back({std::string("p").append(std::to_string(slot))});
  }

  void Run() {
    for (int step = 0; step < 600; ++step) {
      now_ += 20ms;
      Happen();
      const Decision decision = Decide(world_, now_);
      Examine(decision);
      if (testing::Test::HasFailure()) return;
      Apply(decision);
      ASSERT_FALSE(Decide(world_, now_).changes_roster()) << "a decision that is applied is final";
    }
  }

  int starts() const { return starts_; }

 private:
  bool OneIn(int chances) { return std::uniform_int_distribution<int>(1, chances)(rng_) == 1; }

  void Happen() {
    for (Pod& pod : world_.pods) {
      if (OneIn(250)) pod.state = static_cast<PodState>(1 + rng_() % 3);
      if (pod.state != PodState::kRunning && OneIn(20)) pod.state = PodState::kRunning;
      if (OneIn(40)) Register(pod.name);
    }
    for (Registrant& registrant : world_.registrants) {
      const bool mute = muted_.contains(registrant.id);
      if (!mute && OneIn(25)) registrant.last_report = now_;
      if (OneIn(400)) muted_.insert(registrant.id);
      if (!registrant.broken_since && OneIn(150)) registrant.broken_since = now_;
      if (registrant.broken_since && OneIn(20)) registrant.broken_since.reset();
      if (OneIn(300)) registrant.leaving = true;
      if (!registrant.member && !registrant.ready_since && OneIn(10)) BecomeReady(registrant);
    }
    if (OneIn(100)) world_.checkpoint = std::string("c").append(std::to_string(++checkpoints_));
  }

  void Register(const std::string& pod) {
    Registrant registrant{.id = ++last_, .pod = pod, .last_report = now_};
    if (OneIn(3)) registrant.holds = Holds::kState;
    world_.registrants.push_back(registrant);
  }

  void BecomeReady(Registrant& registrant) {
    switch (registrant.assigned) {
      case Role::kUnassigned:
        return;
      case Role::kSeed:
        registrant.holds = Holds::kSeed;
        break;
      case Role::kCheckpoint:
        registrant.holds = Holds::kCheckpoint;
        registrant.held_checkpoint = registrant.assigned_checkpoint;
        break;
      case Role::kKeep:
        break;
      case Role::kCopy:
        registrant.holds = Holds::kCopy;
        break;
    }
    registrant.ready_since = now_;
  }

  const Registrant& Find(MemberId id) const {
    for (const Registrant& registrant : world_.registrants) {
      if (registrant.id == id) return registrant;
    }
    ADD_FAILURE() << "no registrant " << id;
    return world_.registrants.front();
  }

  void Examine(const Decision& decision) {
    std::set<MemberId> mentioned;
    size_t members = 0;
    for (const Registrant& registrant : world_.registrants) members += registrant.member;
    for (const Removal& removal : decision.remove) {
      ASSERT_TRUE(Find(removal.id).member);
      ASSERT_FALSE(removal.reason.empty());
      ASSERT_TRUE(mentioned.insert(removal.id).second);
    }
    for (const Removal& removal : decision.forget) {
      ASSERT_FALSE(Find(removal.id).member);
      ASSERT_TRUE(mentioned.insert(removal.id).second);
    }
    const size_t stay = members - decision.remove.size();
    ASSERT_EQ(decision.start != Start::kNone, stay == 0 && !decision.admit.empty());
    for (MemberId id : decision.admit) {
      ASSERT_TRUE(mentioned.insert(id).second);
      const Registrant& registrant = Find(id);
      ASSERT_FALSE(registrant.member);
      ASSERT_TRUE(registrant.ready_since.has_value());
      ASSERT_FALSE(registrant.broken_since.has_value() || registrant.leaving);
      if (stay > 0) {
        ASSERT_EQ(registrant.holds, Holds::kCopy);
      }
      if (decision.start == Start::kCheckpoint) {
        ASSERT_EQ(registrant.held_checkpoint, world_.checkpoint);
      }
    }
    for (const Assignment& assignment : decision.assign) {
      ASSERT_TRUE(mentioned.insert(assignment.id).second);
    }
    ExamineThatNobodyIsForgotten(decision);
    if (decision.next_check) {
      ASSERT_GT(*decision.next_check, now_);
    }
  }

  // Late joins and late leaves, judged without the clever parts.
  void ExamineThatNobodyIsForgotten(const Decision& decision) {
    std::map<std::string, int> pods;
    for (const Registrant& registrant : world_.registrants) {
      bool stays = registrant.member;
      for (const Removal& removal : decision.remove) stays &= removal.id != registrant.id;
      for (MemberId id : decision.admit) stays |= id == registrant.id;
      if (!stays) continue;
      ASSERT_EQ(++pods[registrant.pod], 1) << "one member a pod";
      ASSERT_LT(now_ - registrant.last_report, kSilence);
      if (registrant.broken_since) {
        ASSERT_LT(now_ - *registrant.broken_since, kBrokenStream);
      }
      for (const Pod& pod : world_.pods) {
        if (pod.name == registrant.pod) {
          ASSERT_EQ(pod.state, PodState::kRunning);
        }
      }
    }
  }

  void Apply(const Decision& decision) {
    starts_ += decision.start != Start::kNone;
    std::set<MemberId> gone;
    for (const auto* list : {&decision.remove, &decision.forget}) {
      for (const Removal& removal : *list) gone.insert(removal.id);
    }
    std::erase_if(world_.registrants, [&](const Registrant& r) { return gone.contains(r.id); });
    for (Registrant& registrant : world_.registrants) {
      for (MemberId id : decision.admit) registrant.member |= id == registrant.id;
      for (const Assignment& assignment : decision.assign) {
        if (assignment.id != registrant.id) continue;
        registrant.assigned = assignment.role;
        registrant.assigned_checkpoint = assignment.checkpoint;
        if (assignment.role != Role::kKeep) {
          registrant.ready_since.reset();
          registrant.holds = Holds::kNothing;
        }
      }
    }
  }

  std::mt19937_64 rng_;
  Time now_{100s};
  Observation world_;
  std::set<MemberId> muted_;
  MemberId last_ = 0;
  int checkpoints_ = 0;
  int starts_ = 0;
};

TEST(RosterLifeTest, HoldsWhatMustHoldWhateverHappens) {
  int starts = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    Life life(seed);
    life.Run();
    starts += life.starts();
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(starts, 300) << "rosters must empty for their rule to be seen";
}

}  // namespace
}  // namespace grapevine::membership
