#include "operator/console/run_session.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grapevine::console {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using topology::JobStats;
using topology::Stage;

constexpr Time kStart{1000s};

api::TrainingJobStatus With(const char* type, const std::string& reason = "Because") {
  api::TrainingJobStatus status;
  status.conditions.push_back({.type = type, .status = "True", .reason = reason});
  return status;
}

// A session whose verbs are noted and whose job has `members` workers in training.
class RunSessionTest : public ::testing::Test {
 protected:
  RunSession Session(const std::string& script) {
    api::TrainingJob job;
    job.metadata.name = "digits";
    job.spec.workers.replicas = 4;
    Verbs verbs;
    verbs.scale = [this](int replicas) {
      if (replicas > 8) return absl::InvalidArgumentError("maxReplicas is 8");
      calls_.push_back("scale " + std::to_string(replicas));
      return absl::OkStatus();
    };
    verbs.kill = [this](const std::string& pod) {
      calls_.push_back("kill");
      faults_[hit_ = pod] = "killed";
      return absl::OkStatus();
    };
    verbs.slow = [this](const std::string& pod, double factor) {
      calls_.push_back("slow " + std::to_string(static_cast<int>(factor)));
      faults_[hit_ = pod] = "slowed";
      return absl::OkStatus();
    };
    verbs.pause = [this](const std::string& pod, double) {
      calls_.push_back("pause");
      faults_[hit_ = pod] = "paused";
      return absl::OkStatus();
    };
    verbs.stop = [this] {
      calls_.push_back("stop");
      return absl::OkStatus();
    };
    verbs.state = [this](const std::string& pod) { return faults_[pod]; };
    return RunSession(job, *ParseScript(script), verbs, kStart);
  }

  static JobStats Training(int members, double fraction) {
    JobStats stats;
    stats.stage = Stage::kTraining;
    stats.fraction = fraction;
    stats.joined = members;
    for (int i = 0; i < members; ++i) {
      stats.members.push_back({.id = static_cast<uint64_t>(i + 1),
                               .pod = "digits-" + std::to_string(i) + "-0",
                               .alive = true});
    }
    return stats;
  }

  // The same after the worker that was hit last is lost.
  JobStats Lost(int members, Time noticed) const {
    JobStats stats = Training(members, 0.2);
    stats.lost = 1;
    stats.changes.push_back(
        {.member = 1, .pod = hit_, .lost = true, .noticed = noticed, .published = noticed + 10ms});
    return stats;
  }

  std::vector<std::string> calls_;
  std::string hit_;                            // the pod that a verb hit last
  std::map<std::string, std::string> faults_;  // by pod
};

TEST_F(RunSessionTest, FiresEachEventOnceWhenItIsDue) {
  RunSession session = Session("50%:scale=6,2s:slow=1x10");
  session.Turn(kStart + 1s, Training(4, 0.1), With(api::kRunning));
  EXPECT_THAT(calls_, ElementsAre());
  session.Turn(kStart + 2s, Training(4, 0.2), With(api::kRunning));
  EXPECT_THAT(calls_, ElementsAre("slow 10"));
  session.Turn(kStart + 3s, Training(4, 0.5), With(api::kRunning));
  session.Turn(kStart + 4s, Training(4, 0.6), With(api::kRunning));
  EXPECT_THAT(calls_, ElementsAre("slow 10", "scale 6"));
}

TEST_F(RunSessionTest, WaitsWithAKillUntilThereIsAMember) {
  RunSession session = Session("0s:kill=1");
  session.Turn(kStart, JobStats{}, With(api::kInitialized));
  EXPECT_THAT(calls_, ElementsAre());
  session.Turn(kStart + 1s, Training(2, 0), With(api::kRunning));
  EXPECT_THAT(calls_, ElementsAre("kill"));
}

TEST_F(RunSessionTest, KillsTheSlowedToo) {
  RunSession session = Session("1s:slow=2x10,2s:slow=1x10,3s:kill=2");
  session.Turn(kStart + 1s, Training(2, 0.1), With(api::kRunning));
  session.Turn(kStart + 2s, Training(2, 0.2), With(api::kRunning));
  EXPECT_THAT(calls_, ElementsAre("slow 10", "slow 10")) << "nobody is slowed twice";
  session.Turn(kStart + 3s, Training(2, 0.3), With(api::kRunning));
  EXPECT_THAT(calls_, ElementsAre("slow 10", "slow 10", "kill", "kill"));
}

TEST_F(RunSessionTest, SaysHowSoonAKillWasNoticedAndPublished) {
  RunSession session = Session("1s:kill=1");
  session.Turn(kStart + 1s, Training(4, 0.1), With(api::kRunning));
  session.Turn(kStart + 2s, Lost(4, kStart + 1s + 250ms), With(api::kRunning));
  const EventRecord event = session.MakeOutcome(kStart + 3s).events.at(0);
  EXPECT_DOUBLE_EQ(event.at.value(), 1);
  EXPECT_DOUBLE_EQ(event.noticed_after.value(), 0.25);
  EXPECT_DOUBLE_EQ(event.published_after.value(), 0.01);
}

TEST_F(RunSessionTest, APauseThatNobodyNoticedHasNoPartInALaterKill) {
  RunSession session = Session("1s:pause=1x2,5s:kill=1");
  session.Turn(kStart + 1s, Training(1, 0.1), With(api::kRunning));
  session.Turn(kStart + 5s, Training(1, 0.2), With(api::kRunning));
  session.Turn(kStart + 6s, Lost(1, kStart + 5s + 250ms), With(api::kRunning));
  const std::vector<EventRecord> events = session.MakeOutcome(kStart + 7s).events;
  EXPECT_FALSE(events.at(0).noticed_after.has_value());
  EXPECT_DOUBLE_EQ(events.at(1).noticed_after.value(), 0.25);
}

TEST_F(RunSessionTest, AKillDuringAPauseIsWhatItsWorkerIsLostBy) {
  RunSession session = Session("1s:pause=1x60,2s:kill=1");
  session.Turn(kStart + 1s, Training(1, 0.1), With(api::kRunning));
  session.Turn(kStart + 2s, Training(1, 0.2), With(api::kRunning));
  session.Turn(kStart + 3s, Lost(1, kStart + 2s + 250ms), With(api::kRunning));
  const std::vector<EventRecord> events = session.MakeOutcome(kStart + 4s).events;
  EXPECT_FALSE(events.at(0).noticed_after.has_value());
  EXPECT_DOUBLE_EQ(events.at(1).noticed_after.value(), 0.25);
}

TEST_F(RunSessionTest, APauseIsNoticedBeforeItIsOver) {
  RunSession session = Session("1s:pause=1x20");
  session.Turn(kStart + 1s, Training(1, 0.1), With(api::kRunning));
  session.Turn(kStart + 7s, Lost(1, kStart + 6s), With(api::kRunning));
  EXPECT_DOUBLE_EQ(session.MakeOutcome(kStart + 8s).events.at(0).noticed_after.value(), 5);
}

TEST_F(RunSessionTest, DoesNotTakeAnotherMembersLossForItsOwn) {
  RunSession session = Session("1s:kill=1");
  session.Turn(kStart + 1s, Training(1, 0.1), With(api::kRunning));
  JobStats stats = Training(1, 0.2);
  stats.lost = 1;
  stats.changes.push_back({.member = 9, .pod = "other", .lost = true, .noticed = kStart + 2s});
  session.Turn(kStart + 2s, stats, With(api::kRunning));
  EXPECT_FALSE(session.MakeOutcome(kStart + 3s).events.at(0).noticed_after.has_value());
}

TEST_F(RunSessionTest, AnEventThatNeverFiredMakesASucceededJobExitWithOne) {
  RunSession session = Session("99s:kill=1");
  session.Turn(kStart + 1s, Training(4, 1), With(api::kSucceeded));
  EXPECT_TRUE(session.over());
  EXPECT_EQ(session.ExitStatus(), 1);
  EXPECT_FALSE(session.MakeOutcome(kStart + 1s).events.at(0).at.has_value());
}

TEST_F(RunSessionTest, TellsOfAJobThatDoesNotLearn) {
  RunSession session = Session("");
  const auto news = [&session] {
    int warnings = 0;
    for (const std::string& line : session.TakeNews()) {
      warnings += line.find("warning: the loss is high") != std::string::npos;
    }
    return warnings;
  };
  api::TrainingJobStatus doubtful = With(api::kRunning, api::kNotLearning);
  doubtful.conditions[0].message = "the loss is high";
  session.Turn(kStart, Training(4, 0.5), With(api::kRunning));
  EXPECT_EQ(news(), 0);
  session.Turn(kStart, Training(4, 0.5), doubtful);
  session.Turn(kStart, Training(4, 0.6), doubtful);
  EXPECT_EQ(news(), 1);
  session.Turn(kStart, Training(4, 0.7), With(api::kRunning));
  session.Turn(kStart, Training(4, 0.8), doubtful);
  EXPECT_EQ(news(), 1) << "after it had learned again";

  session.Turn(kStart, Training(4, 1), With(api::kSucceeded));
  EXPECT_EQ(session.MakeOutcome(kStart).warning, "");
  doubtful.conditions[0].type = api::kSucceeded;
  session.Turn(kStart, Training(4, 1), doubtful);
  EXPECT_EQ(session.MakeOutcome(kStart).warning, "the loss is high");
}

TEST_F(RunSessionTest, ExitStatusFollowsTheJob) {
  RunSession session = Session("");
  session.Turn(kStart, Training(4, 1), With(api::kSucceeded));
  EXPECT_EQ(session.ExitStatus(), 0);
  session.Turn(kStart, Training(4, 1), With(api::kFailed, "TooManyRestarts"));
  EXPECT_EQ(session.ExitStatus(), 1);
  session.Turn(kStart, Training(4, 1), With(api::kFailed, "InvalidDataset"));
  EXPECT_EQ(session.ExitStatus(), 2);
  session.Turn(kStart, Training(4, 1), With(api::kFailed, "Stopped"));
  EXPECT_EQ(session.ExitStatus(), 130);
  EXPECT_EQ(session.MakeOutcome(kStart).state, "Stopped");
}

TEST_F(RunSessionTest, KeysScaleKillSlowAndStop) {
  RunSession session = Session("");
  session.Turn(kStart, Training(4, 0.1), With(api::kRunning));
  for (char key : std::string("+-ksqx")) session.OnKey(key, kStart + 1s);
  EXPECT_THAT(calls_, ElementsAre("scale 5", "scale 4", "kill", "slow 10", "stop"));
  EXPECT_EQ(session.MakeOutcome(kStart + 1s).events.size(), 4u);
}

TEST_F(RunSessionTest, ARefusedScaleIsSaidAndLeavesTheGoal) {
  RunSession session = Session("");
  session.Turn(kStart, Training(4, 0.1), With(api::kRunning));
  for (int i = 0; i < 6; ++i) session.OnKey('+', kStart + 1s);
  EXPECT_EQ(session.View(kStart + 1s).desired_workers, 8);
  EXPECT_THAT(session.TakeNews(), Contains(HasSubstr("maxReplicas is 8")));
}

TEST_F(RunSessionTest, FiresNothingOnceTheModelsMeetOrAStopIsAsked) {
  RunSession finishing = Session("5s:kill=1");
  JobStats stats = Training(4, 1);
  stats.stage = Stage::kFinishing;
  finishing.Turn(kStart + 6s, stats, With(api::kRunning));
  EXPECT_THAT(calls_, ElementsAre());
  RunSession stopping = Session("5s:kill=1");
  stopping.RequestStop(kStart);
  stopping.RequestStop(kStart);
  stopping.Turn(kStart + 6s, Training(4, 0.5), With(api::kRunning));
  EXPECT_THAT(calls_, ElementsAre("stop"));
}

TEST_F(RunSessionTest, EvaluationsAreNewsAndTheLatestIsOnTheScreen) {
  RunSession session = Session("");
  JobStats stats = Training(2, 0.1);
  stats.evaluations.push_back({.member = 1, .loss = 0.5, .accuracy = 0.75});
  session.Turn(kStart, stats, With(api::kRunning));
  EXPECT_THAT(session.TakeNews(), Contains(HasSubstr("accuracy 75.00% loss 0.5000")));
  const RunView view = session.View(kStart);
  EXPECT_EQ(view.accuracy, 0.75);
  EXPECT_THAT(view.events, Not(Contains(HasSubstr("accuracy"))));
}

TEST_F(RunSessionTest, ShowsTheRateOfExchangesAsTheHubMeasuresIt) {
  RunSession session = Session("");
  JobStats stats = Training(2, 0.1);
  stats.exchanges_per_second = 12.5;
  session.Turn(kStart, stats, With(api::kRunning));
  EXPECT_EQ(session.View(kStart).exchanges_per_second, 12.5);
}

TEST_F(RunSessionTest, TellsEachChangeOnce) {
  RunSession session = Session("");
  JobStats stats = Training(2, 0.1);
  stats.changes.push_back(
      {.member = 1, .pod = "a", .joined = true, .reason = "ready", .noticed = kStart});
  stats.changes.push_back(
      {.member = 2, .pod = "b", .joined = true, .reason = "ready", .noticed = kStart});
  session.Turn(kStart, stats, With(api::kRunning));
  EXPECT_THAT(session.TakeNews(), Contains(HasSubstr("member 2 (b) joined: ready")));
  session.Turn(kStart + 1s, stats, With(api::kRunning));
  EXPECT_THAT(session.TakeNews(), ElementsAre());
}

}  // namespace
}  // namespace grapevine::console
