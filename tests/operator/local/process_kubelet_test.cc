#include "operator/local/process_kubelet.h"

#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/controller/object_store.h"
#include "operator/local/api_server.h"

namespace grapevine::local {
namespace {

using controller::Request;
using controller::Resource;
using controller::UidOf;
using nlohmann::json;
using ::testing::ElementsAre;

const Resource kPods{"", "v1", "pods"};

class ProcessKubeletTest : public ::testing::Test {
 protected:
  ProcessKubeletTest()
      : directory_(std::filesystem::temp_directory_path() /
                   ("kubelet-" + std::to_string(getpid()) + "-" +
                    ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::filesystem::create_directories(directory_);
    kubelet_.emplace(&server_, &clock_,
                     ProcessKubeletOptions{.log_directory = directory_.string()});
    kubelet_->Start();
  }
  ~ProcessKubeletTest() override {
    kubelet_.reset();
    std::filesystem::remove_all(directory_);
  }

  json Create(const std::string& name, const std::string& script) {
    const json container = {
        {"name", "worker"},
        {"command", {"sh", "-c", script}},
        {"env",
         {{{"name", "POD"}, {"valueFrom", {{"fieldRef", {{"fieldPath", "metadata.name"}}}}}}}}};
    const auto pod = server_.Create(
        kPods, {{"metadata", {{"name", name}, {"namespace", "default"}}},
                {"spec", {{"containers", {container}}, {"terminationGracePeriodSeconds", 600}}}});
    EXPECT_TRUE(pod.ok()) << pod.status();
    return pod.value_or(json::object());
  }

  // Until `done` holds of the pod; null once it is gone.
  json WaitFor(const std::string& name, const std::function<bool(const json&)>& done) {
    while (true) {
      const json pod = server_.Get(kPods, "default", name).value_or(json());
      if (done(pod)) return pod;
      std::this_thread::sleep_for(1ms);
    }
  }
  json WaitForPhase(const std::string& name, const std::string& phase) {
    return WaitFor(name, [&](const json& pod) { return pod.at("status").at("phase") == phase; });
  }
  void WaitUntilGone(const std::string& name) {
    WaitFor(name, [](const json& pod) { return pod.is_null(); });
  }
  // The log is there, with this in it, before anything is done to the process.
  void WaitForLog(const std::string& name, const std::string& text) {
    while (LogOf(name).find(text) == std::string::npos) std::this_thread::sleep_for(1ms);
  }
  std::string LogOf(const std::string& name) {
    std::ifstream file(directory_ / (name + ".log"));
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static json TerminatedOf(const json& pod) {
    return pod["status"]["containerStatuses"][0]["state"]["terminated"];
  }

  const std::filesystem::path directory_;
  RealClock clock_;
  ApiServer server_;
  std::optional<ProcessKubelet> kubelet_;
};

TEST_F(ProcessKubeletTest, RunsAPodAndReportsItsEnd) {
  Create("good", "echo I am $POD");
  const json pod = WaitForPhase("good", "Succeeded");
  EXPECT_EQ(TerminatedOf(pod)["exitCode"], 0);
  EXPECT_EQ(pod["spec"]["nodeName"], "local");
  EXPECT_EQ(LogOf("good"), "I am good\n");
}

TEST_F(ProcessKubeletTest, ReportsExitCodesAndSignals) {
  Create("bad", "exit 3");
  EXPECT_EQ(TerminatedOf(WaitForPhase("bad", "Failed"))["exitCode"], 3);
  Create("shot", "kill -SEGV $$");
  EXPECT_EQ(TerminatedOf(WaitForPhase("shot", "Failed"))["signal"], SIGSEGV);
}

TEST_F(ProcessKubeletTest, ReportsAPodThatCannotStart) {
  ASSERT_TRUE(server_
                  .Create(kPods, {{"metadata", {{"name", "none"}}},
                                  {"spec", {{"containers", {{{"command", {"/no/such"}}}}}}}})
                  .ok());
  EXPECT_EQ(TerminatedOf(WaitForPhase("none", "Failed"))["reason"], "StartError");
  ASSERT_TRUE(server_.Create(kPods, {{"metadata", {{"name", "odd"}}}}).ok());
  EXPECT_EQ(TerminatedOf(WaitForPhase("odd", "Failed"))["reason"], "StartError");
}

TEST_F(ProcessKubeletTest, StartsAPodOnce) {
  const std::string script = "echo started; sleep 600";
  Create("once", script);
  json pod = WaitForPhase("once", "Running");
  WaitForLog("once", "started");
  for (int i = 0; i < 20; ++i) {
    pod = *server_.Get(kPods, "default", "once");
    pod["metadata"]["labels"]["round"] = std::to_string(i);
    ASSERT_TRUE(server_.Update(kPods, pod).ok());
  }
  ASSERT_TRUE(kubelet_->Signal({"default", "once"}, SIGKILL).ok());
  WaitForPhase("once", "Failed");
  EXPECT_EQ(LogOf("once"), "started\n");
}

TEST_F(ProcessKubeletTest, LeavesPodsToASchedulerWhereThereIsOne) {
  kubelet_.emplace(&server_, &clock_,
                   ProcessKubeletOptions{.binds = false, .log_directory = directory_.string()});
  kubelet_->Start();
  Create("a", "sleep 600");
  json bound = Create("b", "sleep 600");
  bound["spec"]["nodeName"] = "local";
  ASSERT_TRUE(server_.Update(kPods, bound).ok());
  WaitForPhase("b", "Running");  // it looks at them in this order
  EXPECT_THAT(kubelet_->Running(), ElementsAre(Request{"default", "b"}));
}

TEST_F(ProcessKubeletTest, TakesWhatIsItsOwnAlone) {
  ProcessKubelet other(&server_, &clock_,
                       {.name_space = "other", .node_name = "n", .log_directory = directory_});
  const auto create = [&](const char* name, const char* name_space, const char* node) {
    const json container = {{"name", "worker"}, {"command", {"sleep", "600"}}};
    ASSERT_TRUE(server_
                    .Create(kPods, {{"metadata", {{"name", name}, {"namespace", name_space}}},
                                    {"spec", {{"containers", {container}}, {"nodeName", node}}}})
                    .ok());
  };
  create("a", "other", "elsewhere");
  create("b", "other", "n");
  create("c", "default", "n");
  create("d", "default", "local");
  other.Start();
  WaitForPhase("d", "Running");
  while (other.Running().empty()) std::this_thread::sleep_for(1ms);
  EXPECT_THAT(other.Running(), ElementsAre(Request{"other", "b"}));
  EXPECT_THAT(kubelet_->Running(), ElementsAre(Request{"default", "d"}));
  // Nor does it end what others run.
  ASSERT_TRUE(server_.Delete(kPods, "default", "c", {}).ok());
  ASSERT_TRUE(server_.Delete(kPods, "default", "d", {}).ok());
  WaitUntilGone("d");
  EXPECT_TRUE(server_.Get(kPods, "default", "c").ok());
}

TEST_F(ProcessKubeletTest, DeletionAsksFirst) {
  Create("polite", "trap 'echo leaving; exit 0' TERM; echo ready; while :; do sleep 0.01; done");
  WaitForLog("polite", "ready");
  ASSERT_TRUE(server_.Delete(kPods, "default", "polite", {}).ok());
  WaitUntilGone("polite");
  EXPECT_EQ(LogOf("polite"), "ready\nleaving\n");
}

TEST_F(ProcessKubeletTest, DeletionKillsAfterTheGracePeriod) {
  Create("stubborn", "trap '' TERM; echo ready; while :; do sleep 0.01; done");
  WaitForLog("stubborn", "ready");
  ASSERT_TRUE(server_.Delete(kPods, "default", "stubborn", {.grace_period_seconds = 1}).ok());
  WaitUntilGone("stubborn");
  EXPECT_THAT(kubelet_->Running(), ElementsAre());
}

TEST_F(ProcessKubeletTest, ASecondDeletionMayShortenThePeriod) {
  Create("stubborn", "trap '' TERM; echo ready; while :; do sleep 0.01; done");
  WaitForLog("stubborn", "ready");
  ASSERT_TRUE(server_.Delete(kPods, "default", "stubborn", {}).ok());
  ASSERT_TRUE(server_.Delete(kPods, "default", "stubborn", {.grace_period_seconds = 1}).ok());
  WaitUntilGone("stubborn");
}

TEST_F(ProcessKubeletTest, DeletionReachesAStoppedProcess) {
  Create("stopped", "sleep 600");
  WaitForPhase("stopped", "Running");
  ASSERT_TRUE(kubelet_->Signal({"default", "stopped"}, SIGSTOP).ok());
  ASSERT_TRUE(server_.Delete(kPods, "default", "stopped", {}).ok());
  WaitUntilGone("stopped");
}

TEST_F(ProcessKubeletTest, ForcedDeletionKillsAndTheNameIsFree) {
  const json first = Create("again", "trap '' TERM; while :; do sleep 0.01; done");
  WaitForPhase("again", "Running");
  const std::optional<pid_t> pid = kubelet_->PidOf({"default", "again"});
  ASSERT_TRUE(pid);
  ASSERT_TRUE(server_.Delete(kPods, "default", "again", {.grace_period_seconds = 0}).ok());
  const json second = Create("again", "exit 0");
  const json pod = WaitForPhase("again", "Succeeded");
  EXPECT_EQ(UidOf(pod), UidOf(second));
  EXPECT_NE(UidOf(pod), UidOf(first));
  EXPECT_NE(kill(*pid, 0), 0);
}

TEST_F(ProcessKubeletTest, APodDeletedAtOnceLeavesNoProcess) {
  for (int i = 0; i < 30; ++i) {
    const std::string name = "brief-" + std::to_string(i);
    Create(name, "exec sleep 600");
    ASSERT_TRUE(server_.Delete(kPods, "default", name, {.grace_period_seconds = i % 2}).ok());
  }
  for (int i = 0; i < 30; ++i) WaitUntilGone("brief-" + std::to_string(i));
  while (!kubelet_->Running().empty()) std::this_thread::sleep_for(1ms);
}

TEST_F(ProcessKubeletTest, FindsAndSignalsWhatRuns) {
  EXPECT_EQ(kubelet_->Signal({"default", "a"}, SIGCONT).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(kubelet_->PidOf({"default", "a"}), std::nullopt);
  Create("a", "sleep 600");
  Create("b", "sleep 600");
  WaitForPhase("a", "Running");
  WaitForPhase("b", "Running");
  EXPECT_THAT(kubelet_->Running(), ElementsAre(Request{"default", "a"}, Request{"default", "b"}));
  ASSERT_TRUE(kubelet_->Signal({"default", "a"}, SIGKILL).ok());
  WaitForPhase("a", "Failed");
  EXPECT_THAT(kubelet_->Running(), ElementsAre(Request{"default", "b"}));
  EXPECT_EQ(kubelet_->Signal({"default", "a"}, SIGKILL).code(), absl::StatusCode::kNotFound);
}

TEST_F(ProcessKubeletTest, StopKillsEverything) {
  Create("a", "trap '' TERM; while :; do sleep 0.01; done");
  WaitForPhase("a", "Running");
  const std::optional<pid_t> pid = kubelet_->PidOf({"default", "a"});
  ASSERT_TRUE(pid);
  kubelet_->Stop();
  EXPECT_NE(kill(*pid, 0), 0);
  EXPECT_THAT(kubelet_->Running(), ElementsAre());
}

TEST_F(ProcessKubeletTest, SaysWhenTheLogCannotBeWritten) {
  std::filesystem::remove_all(directory_);
  Create("mute", "exit 0");
  EXPECT_EQ(TerminatedOf(WaitForPhase("mute", "Failed"))["reason"], "StartError");
}

}  // namespace
}  // namespace grapevine::local
