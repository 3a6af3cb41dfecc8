#include <memory>

#include "operator/kube/http_api_client.h"
#include "operator/kube/kubeconfig.h"
#include "tests/cluster/shared_control_plane.h"
#include "tests/conformance/api_client_suite.h"

namespace grapevine::conformance {
namespace {

ServedClient Serve() {
  static const RealClock clock;
  cluster::ControlPlane& plane = cluster::SharedControlPlane();
  const auto access = kube::FindAccess({.kubeconfig = plane.kubeconfig()});
  EXPECT_TRUE(access.ok()) << access.status();
  const auto name_space = plane.NewNamespace();
  EXPECT_TRUE(name_space.ok()) << name_space.status();
  auto client =
      std::make_shared<kube::HttpApiClient>(*access, &clock, kube::HttpApiClientOptions{});
  return {client, client.get(), *name_space};
}

INSTANTIATE_TEST_SUITE_P(Servers, ApiClientSuite,
                         ::testing::Values(ApiClientFactory{"Kube", Serve}),
                         [](const auto& factory) { return factory.param.name; });

}  // namespace
}  // namespace grapevine::conformance
