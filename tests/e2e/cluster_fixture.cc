#include "tests/e2e/cluster_fixture.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "fmt/format.h"
#include "operator/api/yaml.h"
#include "operator/kube/kubeconfig.h"
#include "tests/cluster/places.h"

namespace grapevine::e2e {
namespace {

using nlohmann::json;

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
    {{"apiGroups", {""}}, {"resources", {"nodes"}}, {"verbs", {"get", "list", "watch"}}},
    {{"apiGroups", {""}}, {"resources", {"services"}}, {"verbs", {"get", "create"}}},
    {{"apiGroups", {"policy"}},
     {"resources", {"poddisruptionbudgets"}},
     {"verbs", {"get", "create", "patch", "delete"}}},
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

}  // namespace

ClusterTest::ClusterTest() : topology_(FreeAddress()) {}

void ClusterTest::SetUp() {
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

void ClusterTest::StartKubelet() {
  const json node = {{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", {{"name", name_space_}}}};
  const auto made = client_->Create({"", "v1", "nodes", /*cluster_wide=*/true}, node);
  ASSERT_TRUE(made.ok()) << made.status();
  kubelet_ = std::make_unique<local::ProcessKubelet>(
      client_.get(), &clock_,
      local::ProcessKubeletOptions{
          .name_space = name_space_, .node_name = name_space_, .log_directory = plane_.folder()});
  kubelet_->Start();
}

std::unique_ptr<OperatorProcess> ClusterTest::StartOperator(const std::string& name) {
  auto grapevine = std::make_unique<OperatorProcess>(
      kubeconfig_, plane_.folder(), name_space_ + "-" + name,
      std::vector<std::string>{"--namespace", name_space_, "--lease-namespace", name_space_,
                               "--topology", topology_});
  EXPECT_TRUE(grapevine->WaitForLog("metrics on port")) << grapevine->Log();
  return grapevine;
}

absl::StatusOr<std::string> ClusterTest::Kubectl(std::vector<std::string> arguments,
                                                 const std::string& input) {
  arguments.insert(arguments.end(), {"--namespace", name_space_});
  return plane_.Kubectl(std::move(arguments), input);
}

json ClusterTest::Example(const std::string& file) {
  std::ostringstream text;
  text << std::ifstream(cluster::SourceRoot() + "/examples/" + file).rdbuf();
  auto job = api::ParseYaml(text.str());
  EXPECT_TRUE(job.ok()) << job.status();
  if (!job.ok()) return json();
  json& spec = job->at("spec");
  spec["workers"]["template"]["spec"]["containers"] = {
      {{"name", "worker"},
       {"image", "grapevine-worker"},
       {"command", {GRAPEVINE_WORKER_BINARY}},
       // All pods are on one machine.
       {"env", {{{"name", "GRAPEVINE_METRICS"}, {"value", "127.0.0.1:0"}}}}}};
  spec["checkpoint"]["path"] = plane_.folder() + "/checkpoints";
  return *std::move(job);
}

absl::Status ClusterTest::WaitFor(const std::string& object, const std::string& what) {
  return Kubectl({"wait", object, "--for=" + what, "--timeout=50s"}).status();
}

}  // namespace grapevine::e2e
