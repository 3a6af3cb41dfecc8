#include <csignal>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/kube/http_api_client.h"
#include "operator/kube/kubeconfig.h"
#include "operator/local/process_kubelet.h"
#include "tests/cluster/shared_control_plane.h"
#include "tests/cluster/test_kubelet.h"

// Both kubelets against a real API server, which is particular about what may be written.
namespace grapevine::cluster {
namespace {

using controller::Request;
using controller::Resource;
using nlohmann::json;
using ::testing::HasSubstr;

const Resource kPods{"", "v1", "pods"};

class KubeletsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto name_space = SharedControlPlane().NewNamespace();
    ASSERT_TRUE(name_space.ok()) << name_space.status();
    name_space_ = *name_space;
    const auto access = kube::FindAccess({.kubeconfig = SharedControlPlane().kubeconfig()});
    ASSERT_TRUE(access.ok()) << access.status();
    client_ = std::make_unique<kube::HttpApiClient>(*access, &clock_, kube::HttpApiClientOptions{});
  }

  void Create(const std::string& name, const std::string& script) {
    const json container = {
        {"name", "worker"},
        {"image", "worker"},
        {"command", {"sh", "-c", script}},
        {"env",
         {{{"name", "ADDRESS"}, {"valueFrom", {{"fieldRef", {{"fieldPath", "status.podIP"}}}}}}}}};
    const auto pod = client_->Create(
        kPods, {{"apiVersion", "v1"},
                {"kind", "Pod"},
                {"metadata", {{"name", name}, {"namespace", name_space_}}},
                {"spec", {{"restartPolicy", "Never"}, {"containers", {container}}}}});
    ASSERT_TRUE(pod.ok()) << pod.status();
  }
  json Get(const std::string& name) {
    return client_->Get(kPods, name_space_, name).value_or(json());
  }
  // Until `done` holds of the pod; null once it is gone.
  json WaitFor(const std::string& name, const std::function<bool(const json&)>& done) {
    while (true) {
      json pod = Get(name);
      if (done(pod)) return pod;
      std::this_thread::sleep_for(5ms);
    }
  }
  json WaitForPhase(const std::string& name, const std::string& phase) {
    return WaitFor(name, [&](const json& pod) { return pod.at("status").at("phase") == phase; });
  }
  void WaitUntilGone(const std::string& name) {
    WaitFor(name, [](const json& pod) { return pod.is_null(); });
  }
  static json TerminatedOf(const json& pod) {
    return pod["status"]["containerStatuses"][0]["state"]["terminated"];
  }

  RealClock clock_;
  std::string name_space_;
  std::unique_ptr<controller::ApiClient> client_;
};

TEST_F(KubeletsTest, TheTestKubeletLeadsPodsThroughTheirLives) {
  const std::string n1 = name_space_ + "-n1";
  const std::string n2 = name_space_ + "-n2";
  TestKubelet kubelet(client_.get(), &clock_, {.name_space = name_space_, .nodes = {n1, n2}});
  kubelet.Hold("held");
  const absl::Status started = kubelet.Start();
  ASSERT_TRUE(started.ok()) << started;
  for (const char* name : {"held", "bad", "good", "evicted", "lost"}) Create(name, "true");

  WaitForPhase("good", "Running");
  WaitForPhase("bad", "Running");
  absl::Status status = kubelet.End({name_space_, "bad"}, {137, "OOMKilled", "out of memory"});
  EXPECT_TRUE(status.ok()) << status;
  status = kubelet.End({name_space_, "good"}, {.exit_code = 0});
  EXPECT_TRUE(status.ok()) << status;
  const json bad = Get("bad");
  EXPECT_EQ(bad["status"]["phase"], "Failed");
  EXPECT_EQ(TerminatedOf(bad)["reason"], "OOMKilled");
  EXPECT_EQ(TerminatedOf(bad)["message"], "out of memory");
  EXPECT_EQ(Get("good")["status"]["phase"], "Succeeded");

  WaitForPhase("evicted", "Running");
  status = kubelet.Evict({name_space_, "evicted"});
  EXPECT_TRUE(status.ok()) << status;
  WaitUntilGone("evicted");

  const std::string node = WaitForPhase("lost", "Running")["spec"]["nodeName"];
  status = kubelet.LoseNode(node);
  EXPECT_TRUE(status.ok()) << status;
  ASSERT_TRUE(client_->Delete(kPods, name_space_, "lost", {}).ok());
  kubelet.Release("held");
  EXPECT_NE(WaitForPhase("held", "Running")["spec"]["nodeName"], node);
  EXPECT_TRUE(Get("lost")["metadata"].contains("deletionTimestamp"));
}

TEST_F(KubeletsTest, TheSchedulerGivesPodsTheNodesOfTheTestKubelet) {
  ASSERT_TRUE(SharedControlPlane().StartScheduler().ok());
  const std::string node = name_space_ + "-n";
  TestKubelet kubelet(client_.get(), &clock_,
                      {.name_space = name_space_, .nodes = {node}, .binds = false});
  ASSERT_TRUE(kubelet.Start().ok());
  Create("p", "true");
  WaitForPhase("p", "Running");
}

TEST_F(KubeletsTest, TheProcessKubeletRunsPodsOfARealServer) {
  const std::string& folder = SharedControlPlane().folder();
  local::ProcessKubelet kubelet(
      client_.get(), &clock_,
      {.name_space = name_space_, .node_name = "machine", .log_directory = folder});
  kubelet.Start();
  const auto log_of = [&](const std::string& pod) {
    std::ifstream file(folder + "/" + pod + ".log");
    return std::string{std::istreambuf_iterator<char>(file), {}};
  };

  Create("good", "echo at $ADDRESS");
  const json good = WaitForPhase("good", "Succeeded");
  EXPECT_EQ(good["spec"]["nodeName"], "machine");
  EXPECT_EQ(good["status"]["podIP"], "127.0.0.1");
  EXPECT_EQ(good["status"]["hostIP"], "127.0.0.1");
  EXPECT_EQ(log_of("good"), "at 127.0.0.1\n");

  Create("bad", "exit 3");
  EXPECT_EQ(TerminatedOf(WaitForPhase("bad", "Failed"))["exitCode"], 3);
  Create("shot", "sleep 600");
  WaitForPhase("shot", "Running");
  ASSERT_TRUE(kubelet.Signal({name_space_, "shot"}, SIGKILL).ok());
  EXPECT_EQ(TerminatedOf(WaitForPhase("shot", "Failed"))["exitCode"], 128 + SIGKILL);

  Create("polite", "trap 'echo leaving; exit 0' TERM; echo ready; while :; do sleep 0.01; done");
  while (log_of("polite").find("ready") == std::string::npos) std::this_thread::sleep_for(5ms);
  ASSERT_TRUE(client_->Delete(kPods, name_space_, "polite", {}).ok());
  WaitUntilGone("polite");
  EXPECT_EQ(log_of("polite"), "ready\nleaving\n");
  for (const char* ended : {"good", "bad", "shot"}) {
    ASSERT_TRUE(client_->Delete(kPods, name_space_, ended, {}).ok());
    WaitUntilGone(ended);
  }
}

}  // namespace
}  // namespace grapevine::cluster
