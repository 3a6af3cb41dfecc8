#include "operator/assembly/operate.h"

#include <cstdlib>
#include <functional>

#include "fmt/format.h"
#include "operator/assembly/cluster_operator.h"
#include "operator/assembly/exec_plugin.h"
#include "operator/kube/http_api_client.h"
#include "operator/kube/kubeconfig.h"

namespace grapevine::assembly {
namespace {

constexpr int kCannotGoOn = 1;
constexpr int kBadInput = 2;

std::string FromEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

PodIdentity ThisPod() {
  return {.name = FromEnvironment("POD_NAME"),
          .name_space = FromEnvironment("POD_NAMESPACE"),
          .ip = FromEnvironment("POD_IP")};
}

int Fail(const absl::Status& status, int exit_status) {
  fmt::print(stderr, "grapevine: {}\n", std::string(status.message()));
  return exit_status;
}

}  // namespace

int Operate(const OperateOptions& options, const sigset_t& signals) {
  const auto access =
      kube::FindAccess({.kubeconfig = options.kubeconfig, .context = options.context});
  if (!access.ok()) return Fail(access.status(), kBadInput);
  const PodIdentity pod = ThisPod();
  std::string lease_name_space = options.lease_name_space;
  if (lease_name_space.empty()) {
    lease_name_space = pod.name_space.empty() ? access->name_space : pod.name_space;
  }
  const RealClock clock;
  std::function<std::vector<metrics::JobSample>()> sample;
  metrics::OperatorMetrics metrics({.threads = options.threads, .jobs = [&] { return sample(); }});
  kube::HttpApiClient client(*access, &clock, {.run_plugin = RunExecPlugin, .probe = &metrics});
  ClusterOperator cluster(&client, &metrics, signals,
                          {.name_spaces = {options.name_spaces.begin(), options.name_spaces.end()},
                           .topology_listen = options.topology,
                           .topology_address = options.topology_address,
                           .worker_image = options.worker_image,
                           .metrics_address = options.metrics,
                           .health_address = options.health,
                           .leader_elect = options.leader_elect,
                           .lease_name_space = lease_name_space,
                           .threads = options.threads,
                           .pod = pod});
  sample = [&cluster] { return cluster.Sample(); };
  const absl::Status status = cluster.Run();
  return status.ok() ? 0 : Fail(status, kCannotGoOn);
}

}  // namespace grapevine::assembly
