#include "operator/base/supervisor.h"

#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grapevine {
namespace {

using ::testing::ElementsAre;

// Parts that write down what happens to them. Thread-compatible.
class Journal {
 public:
  Part Healthy(const std::string& name) {
    return {name, Step("start " + name, absl::OkStatus()), Step("stop " + name, absl::OkStatus())};
  }
  Part FailsToStart(const std::string& name) {
    return {name, Step("start " + name, absl::UnavailableError("port taken")),
            Step("stop " + name, absl::OkStatus())};
  }
  Part FailsToStop(const std::string& name) {
    return {name, Step("start " + name, absl::OkStatus()),
            Step("stop " + name, absl::DataLossError("not flushed"))};
  }
  const std::vector<std::string>& steps() const { return steps_; }

 private:
  std::function<absl::Status()> Step(std::string what, absl::Status result) {
    return [this, what = std::move(what), result = std::move(result)] {
      steps_.push_back(what);
      return result;
    };
  }

  std::vector<std::string> steps_;
};

TEST(SupervisorTest, StopsInTheReverseOfTheOrderOfStarting) {
  Journal journal;
  Supervisor supervisor({journal.Healthy("a"), journal.Healthy("b"), journal.Healthy("c")});
  EXPECT_TRUE(supervisor.Start().ok());
  EXPECT_TRUE(supervisor.Stop().ok());
  EXPECT_THAT(journal.steps(),
              ElementsAre("start a", "start b", "start c", "stop c", "stop b", "stop a"));
}

TEST(SupervisorTest, AFailingStartStopsWhatWasStartedAndNothingElse) {
  Journal journal;
  Supervisor supervisor({journal.Healthy("a"), journal.FailsToStart("b"), journal.Healthy("c")});
  EXPECT_EQ(supervisor.Start(), absl::UnavailableError("b: port taken"));
  EXPECT_THAT(journal.steps(), ElementsAre("start a", "start b", "stop a"));
}

TEST(SupervisorTest, APartThatCannotBeStoppedKeepsNoOtherRunning) {
  Journal journal;
  Supervisor supervisor({journal.Healthy("a"), journal.FailsToStop("b"), journal.Healthy("c")});
  ASSERT_TRUE(supervisor.Start().ok());
  EXPECT_EQ(supervisor.Stop(), absl::DataLossError("b: not flushed"));
  EXPECT_EQ(journal.steps().back(), "stop a");
}

TEST(SupervisorTest, StoppingAgainDoesNothing) {
  Journal journal;
  {
    Supervisor supervisor({journal.Healthy("a")});
    ASSERT_TRUE(supervisor.Start().ok());
    EXPECT_TRUE(supervisor.Stop().ok());
    EXPECT_TRUE(supervisor.Stop().ok());
  }
  EXPECT_THAT(journal.steps(), ElementsAre("start a", "stop a"));
}

TEST(SupervisorTest, ItsEndStopsWhatStillRuns) {
  Journal journal;
  {
    Supervisor supervisor({journal.Healthy("a")});
    ASSERT_TRUE(supervisor.Start().ok());
  }
  EXPECT_THAT(journal.steps(), ElementsAre("start a", "stop a"));
}

TEST(SupervisorTest, TheFirstErrorSticks) {
  Journal journal;
  Supervisor supervisor({journal.FailsToStop("a")});
  ASSERT_TRUE(supervisor.Start().ok());
  EXPECT_TRUE(supervisor.error().ok());
  supervisor.Fail("a", absl::AbortedError("first"));
  supervisor.Fail("a", absl::InternalError("second"));
  EXPECT_EQ(supervisor.error(), absl::AbortedError("a: first"));
  EXPECT_EQ(supervisor.Stop(), absl::AbortedError("a: first"));
}

TEST(SupervisorTest, AFailureWakesWhoWaits) {
  Supervisor supervisor({});
  std::jthread part([&supervisor] { supervisor.Fail("part", absl::InternalError("died")); });
  EXPECT_EQ(supervisor.WaitUntil(RealClock().Now() + 60s), absl::InternalError("part: died"));
}

TEST(SupervisorTest, WaitingEndsAtItsDeadline) {
  Supervisor supervisor({});
  EXPECT_TRUE(supervisor.WaitUntil(RealClock().Now()).ok());
}

}  // namespace
}  // namespace grapevine
