#include "operator/controller/controller.h"

#include <atomic>
#include <functional>
#include <map>
#include <set>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grapevine::controller {
namespace {

using ::testing::ElementsAre;

const Request kA{"default", "a"};
const Request kB{"default", "b"};

// Answers the n-th call for a name with what the test says. Thread-safe.
class ScriptedReconciler final : public Reconciler {
 public:
  using Script = std::function<absl::StatusOr<Result>(const Request&, int call)>;
  explicit ScriptedReconciler(Script script) : script_(std::move(script)) {}

  absl::StatusOr<Result> Reconcile(const Request& request) override {
    int call = 0;
    {
      MutexLock lock(mutex_);
      EXPECT_TRUE(running_.insert(request).second) << "a name runs twice at once";
      call = ++calls_[request];
    }
    absl::StatusOr<Result> result = script_(request, call);
    MutexLock lock(mutex_);
    running_.erase(request);
    changed_.NotifyAll();
    return result;
  }

  void WaitForCalls(const Request& request, int calls) {
    MutexLock lock(mutex_);
    while (calls_[request] < calls || running_.contains(request)) changed_.Wait(mutex_);
  }
  int calls(const Request& request) {
    MutexLock lock(mutex_);
    return calls_[request];
  }

 private:
  const Script script_;
  Mutex mutex_;
  CondVar changed_;
  std::map<Request, int> calls_ ABSL_GUARDED_BY(mutex_);
  std::set<Request> running_ ABSL_GUARDED_BY(mutex_);
};

class RecordingProbe final : public Probe {
 public:
  void OnRetried() override { ++retried; }
  void OnReconciled(const Request&, Outcome outcome, Duration) override {
    MutexLock lock(mutex_);
    outcomes_.push_back(outcome);
  }
  std::vector<Outcome> outcomes() {
    MutexLock lock(mutex_);
    return outcomes_;
  }

  std::atomic<int> retried = 0;

 private:
  Mutex mutex_;
  std::vector<Outcome> outcomes_ ABSL_GUARDED_BY(mutex_);
};

class ControllerTest : public ::testing::Test {
 protected:
  RealClock clock_;
  RecordingProbe probe_;
};

TEST_F(ControllerTest, ReconcilesWhatWasEnqueuedBeforeItStarted) {
  ScriptedReconciler reconciler([](const Request&, int) { return Result{}; });
  Controller controller(&reconciler, &clock_, &probe_, {.name = "test"});
  controller.Enqueue(kA);
  controller.Enqueue(kA);
  controller.Enqueue(kB);
  controller.Start();
  controller.Stop();
  EXPECT_EQ(reconciler.calls(kA), 1);
  EXPECT_EQ(reconciler.calls(kB), 1);
  EXPECT_THAT(probe_.outcomes(), ElementsAre(Probe::Outcome::kSuccess, Probe::Outcome::kSuccess));
}

TEST_F(ControllerTest, ComesBackAfterTheTimeThatWasAsked) {
  ScriptedReconciler reconciler(
      [](const Request&, int call) { return call < 3 ? Result{.requeue_after = 1ms} : Result{}; });
  Controller controller(&reconciler, &clock_, &probe_, {.name = "test"});
  controller.Start();
  controller.Enqueue(kA);
  reconciler.WaitForCalls(kA, 3);
  controller.Stop();
  EXPECT_EQ(reconciler.calls(kA), 3);
  EXPECT_EQ(probe_.retried, 0);
}

TEST_F(ControllerTest, TriesAgainAfterAnError) {
  ScriptedReconciler reconciler([](const Request&, int call) -> absl::StatusOr<Result> {
    if (call == 1) return absl::UnavailableError("away");
    if (call == 2) return absl::AbortedError("conflict");
    return Result{};
  });
  Controller controller(&reconciler, &clock_, &probe_, {.name = "test"});
  controller.Start();
  controller.Enqueue(kA);
  reconciler.WaitForCalls(kA, 3);
  controller.Stop();
  EXPECT_EQ(reconciler.calls(kA), 3);
  EXPECT_EQ(probe_.retried, 2);
}

TEST_F(ControllerTest, GivesUpWhatNoRepeatWouldMendUntilItChanges) {
  ScriptedReconciler reconciler([](const Request&, int call) -> absl::StatusOr<Result> {
    if (call == 1) return absl::InvalidArgumentError("spec");
    return absl::FailedPreconditionError("state");
  });
  Controller controller(&reconciler, &clock_, &probe_, {.name = "test"});
  controller.Start();
  controller.Enqueue(kA);
  reconciler.WaitForCalls(kA, 1);
  controller.Enqueue(kA);
  controller.Stop();
  EXPECT_EQ(reconciler.calls(kA), 2);
  EXPECT_THAT(probe_.outcomes(),
              ElementsAre(Probe::Outcome::kTerminalError, Probe::Outcome::kTerminalError));
}

TEST_F(ControllerTest, SeveralThreadsNeverRunOneNameAtOnce) {
  std::atomic<int> total = 0;
  ScriptedReconciler reconciler([&](const Request&, int) {
    ++total;
    std::this_thread::yield();
    return Result{};
  });
  Controller controller(&reconciler, &clock_, &probe_, {.name = "test", .threads = 4});
  controller.Start();
  for (int i = 0; i < 500; ++i) controller.Enqueue(i % 3 == 0 ? kA : kB);
  controller.Stop();
  EXPECT_GE(total, 2);
}

TEST_F(ControllerTest, StopWaitsForTheReconcileUnderWay) {
  std::atomic<bool> entered = false;
  std::atomic<bool> release = false;
  std::atomic<bool> left = false;
  ScriptedReconciler reconciler([&](const Request&, int) {
    entered = true;
    while (!release) std::this_thread::yield();
    left = true;
    return Result{};
  });
  Controller controller(&reconciler, &clock_, &probe_, {.name = "test"});
  controller.Start();
  controller.Enqueue(kA);
  while (!entered) std::this_thread::yield();
  std::thread releaser([&] { release = true; });
  controller.Stop();
  EXPECT_TRUE(left);
  EXPECT_EQ(reconciler.calls(kA), 1);
  controller.Enqueue(kB);
  EXPECT_EQ(reconciler.calls(kB), 0);
  releaser.join();
}

}  // namespace
}  // namespace grapevine::controller
