#include "operator/console/faults.h"

#include <signal.h>

#include <algorithm>

#include "gtest/gtest.h"

namespace grapevine::console {
namespace {

// Notes every signal and says that pods named "gone" have no process.
class Recorder {
 public:
  absl::Status Send(const std::string& pod, int signal) {
    MutexLock lock(mutex_);
    if (pod == "gone") return absl::NotFoundError("no process");
    sent_.push_back(signal);
    changed_.NotifyAll();
    return absl::OkStatus();
  }
  size_t Count(int signal) {
    MutexLock lock(mutex_);
    return std::count(sent_.begin(), sent_.end(), signal);
  }
  void WaitFor(int signal, size_t count) {
    MutexLock lock(mutex_);
    while (static_cast<size_t>(std::count(sent_.begin(), sent_.end(), signal)) < count) {
      changed_.Wait(mutex_);
    }
  }
  int last() {
    MutexLock lock(mutex_);
    return sent_.back();
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<int> sent_;
};

Faults::Send To(Recorder& recorder) {
  return [&recorder](const std::string& pod, int signal) { return recorder.Send(pod, signal); };
}

TEST(Faults, SlowedProcessIsStoppedAndContinuedAgainAndAgain) {
  Recorder recorder;
  Faults faults(To(recorder));
  ASSERT_TRUE(faults.Slow("a", 10).ok());
  EXPECT_EQ(faults.StateOf("a"), Faults::State::kSlowed);
  recorder.WaitFor(SIGCONT, 3);
  EXPECT_GE(recorder.Count(SIGSTOP), 3u);
}

TEST(Faults, PausedProcessGoesOnByItself) {
  Recorder recorder;
  Faults faults(To(recorder));
  ASSERT_TRUE(faults.Pause("a", 50ms).ok());
  recorder.WaitFor(SIGCONT, 1);
  EXPECT_EQ(recorder.Count(SIGSTOP), 1u);
  EXPECT_EQ(faults.StateOf("a"), Faults::State::kRunning);
}

TEST(Faults, WhoeverIsStoppedAtTheEndIsSetGoing) {
  Recorder recorder;
  {
    Faults faults(To(recorder));
    ASSERT_TRUE(faults.Pause("a", 3600s).ok());
    EXPECT_EQ(faults.StateOf("a"), Faults::State::kPaused);
  }
  EXPECT_EQ(recorder.last(), SIGCONT);
}

TEST(Faults, KillSendsOneSignalAndForgetsThePod) {
  Recorder recorder;
  Faults faults(To(recorder));
  ASSERT_TRUE(faults.Kill("a").ok());
  EXPECT_EQ(recorder.Count(SIGKILL), 1u);
  EXPECT_EQ(faults.StateOf("a"), Faults::State::kRunning);
  EXPECT_EQ(faults.Kill("gone").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(faults.Pause("gone", 1s).code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace grapevine::console
