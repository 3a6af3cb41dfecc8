#include "tests/cluster/test_kubelet.h"

#include <functional>
#include <set>
#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/local/api_server.h"

namespace grapevine::cluster {
namespace {

using controller::Resource;
using nlohmann::json;
using ::testing::UnorderedElementsAre;

const Resource kPods{"", "v1", "pods"};
const Resource kNodes{"", "v1", "nodes", /*cluster_wide=*/true};

class TestKubeletTest : public ::testing::Test {
 protected:
  void Create(const std::string& name, const std::string& name_space = "a") {
    const json container = {{"name", "worker"}, {"image", "worker"}};
    const auto pod =
        server_.Create(kPods, {{"apiVersion", "v1"},
                               {"kind", "Pod"},
                               {"metadata", {{"name", name}, {"namespace", name_space}}},
                               {"spec", {{"containers", {container}}}}});
    ASSERT_TRUE(pod.ok()) << pod.status();
  }
  json Get(const std::string& name, const std::string& name_space = "a") {
    return server_.Get(kPods, name_space, name).value_or(json());
  }
  // Until `done` holds of the pod; null once it is gone.
  json WaitFor(const std::string& name, const std::function<bool(const json&)>& done) {
    while (true) {
      json pod = Get(name);
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

  RealClock clock_;
  local::ApiServer server_;
};

TEST_F(TestKubeletTest, GivesPodsNodesInTurnAndAddressesOfTheirOwn) {
  TestKubelet kubelet(&server_, &clock_, {.name_space = "a", .nodes = {"n1", "n2"}});
  ASSERT_TRUE(kubelet.Start().ok());
  std::set<std::string> addresses;
  std::multiset<std::string> nodes;
  Create("elsewhere", "b");
  for (const char* name : {"p1", "p2", "p3", "p4"}) {
    Create(name);
    const json pod = WaitForPhase(name, "Running");
    EXPECT_EQ(pod["status"]["conditions"][0]["type"], "Ready");
    EXPECT_EQ(pod["status"]["conditions"][0]["status"], "True");
    addresses.insert(pod["status"]["podIP"].get<std::string>());
    nodes.insert(pod["spec"]["nodeName"].get<std::string>());
  }
  EXPECT_EQ(addresses.size(), 4u);
  EXPECT_THAT(nodes, UnorderedElementsAre("n1", "n1", "n2", "n2"));
  EXPECT_EQ(Get("elsewhere", "b")["status"]["phase"], "Pending");
}

TEST_F(TestKubeletTest, LeavesAPodPendingUntilItIsReleased) {
  TestKubelet kubelet(&server_, &clock_, {.name_space = "a"});
  kubelet.Hold("x-3-");
  ASSERT_TRUE(kubelet.Start().ok());
  Create("x-3-0");
  Create("x-4-0");
  WaitForPhase("x-4-0", "Running");
  EXPECT_FALSE(Get("x-3-0")["spec"].contains("nodeName"));
  kubelet.Release("x-3-");
  WaitForPhase("x-3-0", "Running");
}

TEST_F(TestKubeletTest, EndsAPodWithItsLastWords) {
  TestKubelet kubelet(&server_, &clock_, {.name_space = "a"});
  ASSERT_TRUE(kubelet.Start().ok());
  Create("bad");
  Create("good");
  WaitForPhase("good", "Running");
  const std::string address = WaitForPhase("bad", "Running")["status"]["podIP"];
  ASSERT_TRUE(
      kubelet.End({"a", "bad"}, {.exit_code = 137, .reason = "OOMKilled", .message = "ouch"}).ok());
  ASSERT_TRUE(kubelet.End({"a", "good"}, {.exit_code = 0}).ok());
  const json bad = Get("bad")["status"];
  EXPECT_EQ(bad["phase"], "Failed");
  EXPECT_EQ(bad["podIP"], address);
  const json terminated = bad["containerStatuses"][0]["state"]["terminated"];
  EXPECT_EQ(terminated["exitCode"], 137);
  EXPECT_EQ(terminated["reason"], "OOMKilled");
  EXPECT_EQ(terminated["message"], "ouch");
  EXPECT_EQ(Get("good")["status"]["phase"], "Succeeded");
}

TEST_F(TestKubeletTest, TakesADeletedPodAwayWhenItsTimeIsOver) {
  TestKubelet kubelet(&server_, &clock_, {.name_space = "a", .deletion_delay = 50ms});
  ASSERT_TRUE(kubelet.Start().ok());
  Create("p");
  WaitForPhase("p", "Running");
  const Time deleted = clock_.Now();
  ASSERT_TRUE(server_.Delete(kPods, "a", "p", {}).ok());
  EXPECT_TRUE(Get("p")["metadata"].contains("deletionTimestamp"));
  WaitUntilGone("p");
  EXPECT_GE(clock_.Now() - deleted, 50ms);
}

TEST_F(TestKubeletTest, SaysThatAnEvictedPodWasDisrupted) {
  TestKubelet kubelet(&server_, &clock_, {.name_space = "a", .deletion_delay = 10s});
  ASSERT_TRUE(kubelet.Start().ok());
  Create("p");
  WaitForPhase("p", "Running");
  ASSERT_TRUE(kubelet.Evict({"a", "p"}).ok());
  const json pod = Get("p");
  EXPECT_EQ(pod["status"]["conditions"][0]["type"], "DisruptionTarget");
  EXPECT_EQ(pod["status"]["conditions"][0]["reason"], "EvictionByEvictionAPI");
  EXPECT_TRUE(pod["metadata"].contains("deletionTimestamp"));
}

TEST_F(TestKubeletTest, LeavesThePodsOfALostNodeAsTheyAre) {
  TestKubelet kubelet(&server_, &clock_, {.name_space = "a", .nodes = {"n1", "n2"}});
  ASSERT_TRUE(kubelet.Start().ok());
  Create("lost");
  const std::string node = WaitForPhase("lost", "Running")["spec"]["nodeName"];
  ASSERT_TRUE(kubelet.LoseNode(node).ok());
  const json nodes = server_.List(kNodes, "", {})->at("items");
  for (const json& each : nodes) {
    const bool lost = each["metadata"]["name"] == node;
    EXPECT_EQ(each["status"]["conditions"][0]["status"], lost ? "Unknown" : "True");
    EXPECT_EQ(each["spec"].contains("taints"), lost);
  }
  ASSERT_TRUE(server_.Delete(kPods, "a", "lost", {}).ok());
  for (const char* name : {"p1", "p2", "p3"}) {
    Create(name);
    EXPECT_NE(WaitForPhase(name, "Running")["spec"]["nodeName"], node);
  }
  EXPECT_EQ(Get("lost")["status"]["phase"], "Running");
}

}  // namespace
}  // namespace grapevine::cluster
