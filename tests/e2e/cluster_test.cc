// `grapevine operator` against a real API server, with worker processes for pods.

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/api/yaml.h"
#include "operator/base/clock.h"
#include "operator/kube/http_api_client.h"
#include "operator/kube/kubeconfig.h"
#include "operator/local/process_kubelet.h"
#include "tests/cluster/shared_control_plane.h"
#include "tests/e2e/operator_process.h"

namespace grapevine::e2e {
namespace {

using cluster::ControlPlane;
using cluster::SharedControlPlane;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

// What the operator may do, and no more.
const json kRules = {
    {{"apiGroups", {"grapevine.dev"}},
     {"resources", {"trainingjobs", "communicationgraphs"}},
     {"verbs", {"get", "list", "watch", "create", "update", "delete"}}},
    {{"apiGroups", {"grapevine.dev"}},
     {"resources",
      {"trainingjobs/status", "communicationgraphs/status", "trainingjobs/finalizers"}},
     {"verbs", {"update"}}},
    {{"apiGroups", {""}},
     {"resources", {"pods"}},
     {"verbs", {"get", "list", "watch", "create", "delete", "patch"}}},
    {{"apiGroups", {"coordination.k8s.io"}},
     {"resources", {"leases"}},
     {"verbs", {"get", "create", "update"}}},
    {{"apiGroups", {"events.k8s.io"}}, {"resources", {"events"}}, {"verbs", {"create", "patch"}}}};

// An address of this machine at which nobody listens now.
std::string FreeAddress() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), length), 0);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
  close(fd);
  return fmt::format("127.0.0.1:{}", ntohs(address.sin_port));
}

class ClusterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto name_space = plane_.NewNamespace();
    ASSERT_TRUE(name_space.ok()) << name_space.status();
    name_space_ = *name_space;
    auto access = kube::FindAccess({.kubeconfig = plane_.kubeconfig()});
    ASSERT_TRUE(access.ok()) << access.status();
    client_ = std::make_unique<kube::HttpApiClient>(*access, &clock_, kube::HttpApiClientOptions{});
    auto kubeconfig = plane_.KubeconfigOf(name_space_, "operator", kRules);
    ASSERT_TRUE(kubeconfig.ok()) << kubeconfig.status();
    kubeconfig_ = *kubeconfig;
  }

  // Pods become processes.
  void StartKubelet() {
    kubelet_ = std::make_unique<local::ProcessKubelet>(
        client_.get(), &clock_,
        local::ProcessKubeletOptions{.name_space = name_space_, .log_directory = plane_.folder()});
    kubelet_->Start();
  }

  std::unique_ptr<OperatorProcess> StartOperator(const std::string& name) {
    auto grapevine = std::make_unique<OperatorProcess>(
        kubeconfig_, plane_.folder(), name_space_ + "-" + name,
        std::vector<std::string>{"--namespace", name_space_, "--lease-namespace", name_space_,
                                 "--topology", topology_});
    EXPECT_TRUE(grapevine->WaitForLog("metrics on port")) << grapevine->Log();
    return grapevine;
  }

  absl::StatusOr<std::string> Kubectl(std::vector<std::string> arguments,
                                      const std::string& input = "") {
    arguments.insert(arguments.end(), {"--namespace", name_space_});
    return plane_.Kubectl(std::move(arguments), input);
  }

  // The digits, by the worker of this build.
  std::string DigitsJob(int epochs) {
    return fmt::format(R"(
apiVersion: grapevine.dev/v1alpha1
kind: TrainingJob
metadata: {{name: digits}}
spec:
  training:
    model: mlp
    dataset: {{name: digits}}
    epochs: {}
    batchSize: 16
    learningRate: "0.02"
  checkpoint: {{path: {}, everySeconds: 5}}
  workers:
    replicas: 2
    maxReplicas: 4
    template:
      spec:
        containers: [{{name: worker, image: grapevine-worker, command: [{}]}}]
)",
                       epochs, plane_.folder(), GRAPEVINE_WORKER_BINARY);
  }

  RealClock clock_;
  ControlPlane& plane_ = SharedControlPlane();
  std::string name_space_;
  std::string kubeconfig_;
  const std::string topology_ = FreeAddress();  // as a Service's, it outlives who listens there
  std::unique_ptr<kube::HttpApiClient> client_;
  std::unique_ptr<local::ProcessKubelet> kubelet_;
};

TEST_F(ClusterTest, TrainsAJobToItsEnd) {
  auto grapevine = StartOperator("operator");
  StartKubelet();
  const auto applied = Kubectl({"apply"}, DigitsJob(100));
  ASSERT_TRUE(applied.ok()) << applied.status();
  const auto waited = Kubectl({"wait", "tj/digits", "--for=condition=Succeeded", "--timeout=50s"});
  ASSERT_TRUE(waited.ok()) << waited.status() << grapevine->Log();

  const auto job = Kubectl({"get", "tj", "digits"});
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_THAT(*job, AllOf(HasSubstr("ALGORITHM"), ContainsRegex("ADPSGD +2 +[0-9]+ +100 +0\\.9")));
  EXPECT_THAT(*job, HasSubstr("Succeeded"));
  const auto graph = Kubectl({"get", "cgraph", "digits", "-o", "yaml"});
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_THAT(*graph, HasSubstr("epoch:"));
  const auto described = Kubectl({"describe", "tj", "digits"});
  ASSERT_TRUE(described.ok()) << described.status();
  EXPECT_THAT(*described, HasSubstr("Succeeded"));

  grapevine->Signal(SIGTERM);
  EXPECT_EQ(grapevine->Wait().code, 0) << grapevine->Log();
  const auto lease =
      Kubectl({"get", "lease", "grapevine-operator", "-o", "jsonpath=[{.spec.holderIdentity}]"});
  ASSERT_TRUE(lease.ok()) << lease.status();
  EXPECT_EQ(*lease, "[]");
}

TEST_F(ClusterTest, AnOperatorThatIsKilledAndStartedAgainMakesNoSecondPodAndLosesNone) {
  auto first = StartOperator("first");
  StartKubelet();
  ASSERT_TRUE(Kubectl({"apply"}, DigitsJob(600)).ok());
  const auto runs = Kubectl({"wait", "tj/digits", "--for=condition=Running", "--timeout=60s"});
  ASSERT_TRUE(runs.ok()) << runs.status() << first->Log();
  first->Signal(SIGKILL);
  first->Wait();
  // Whoever comes later waits until the dead one's lease has run out; nobody trains less for it.
  auto second = StartOperator("second");
  const auto waited = Kubectl({"wait", "tj/digits", "--for=condition=Succeeded", "--timeout=50s"});
  ASSERT_TRUE(waited.ok()) << waited.status() << second->Log();
  const auto restarts =
      Kubectl({"get", "tj", "digits", "-o", "jsonpath={.status.workers.restarts}"});
  EXPECT_EQ(*restarts, "0") << second->Log();
}

TEST_F(ClusterTest, AJobIsScaledSuspendedAndGoesOnFromItsCheckpoint) {
  auto grapevine = StartOperator("operator");
  StartKubelet();
  ASSERT_TRUE(Kubectl({"apply"}, DigitsJob(1000)).ok());
  const auto wait_for = [&](const std::string& what) {
    const auto waited = Kubectl({"wait", "tj/digits", "--for=" + what, "--timeout=50s"});
    EXPECT_TRUE(waited.ok()) << what << waited.status() << grapevine->Log();
    return waited.ok();
  };
  const auto value = [&](const std::string& path) {
    return Kubectl({"get", "tj", "digits", "-o", "jsonpath={" + path + "}"}).value_or("unknown");
  };
  ASSERT_TRUE(wait_for("jsonpath={.status.workers.members}=2"));
  ASSERT_TRUE(Kubectl({"scale", "tj/digits", "--replicas=3"}).ok());
  ASSERT_TRUE(wait_for("jsonpath={.status.workers.members}=3"));

  const char* suspend = R"({"spec":{"suspend":%}})";
  const auto set = [&](const char* to) {
    std::string patch = suspend;
    patch.replace(patch.find('%'), 1, to);
    return Kubectl({"patch", "tj", "digits", "--type=merge", "-p", patch}).ok();
  };
  ASSERT_TRUE(set("true"));
  ASSERT_TRUE(wait_for("condition=Suspended"));
  ASSERT_TRUE(wait_for("jsonpath={.status.workers.active}=0"));
  EXPECT_EQ(value(".status.startTime"), "");
  EXPECT_EQ(*Kubectl({"get", "pods", "-o", "name"}), "");
  ASSERT_TRUE(set("false"));
  ASSERT_TRUE(wait_for("condition=Succeeded"));
  EXPECT_EQ(value(".status.workers.restarts"), "0");
  EXPECT_EQ(value(".status.progress.percent"), "100");
}

TEST_F(ClusterTest, AStandbyTakesOverFromALeaderThatLeaves) {
  auto leader = StartOperator("leader");
  ASSERT_TRUE(leader->WaitForLog("workers are served"));
  auto standby = StartOperator("standby");
  leader->Signal(SIGTERM);
  EXPECT_EQ(leader->Wait().code, 0) << leader->Log();
  EXPECT_TRUE(standby->WaitForLog("workers are served")) << standby->Log();
  EXPECT_THAT(leader->Log(), HasSubstr("asked to end"));
}

}  // namespace
}  // namespace grapevine::e2e
