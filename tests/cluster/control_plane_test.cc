#include "tests/cluster/control_plane.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cluster/places.h"
#include "tests/cluster/program.h"
#include "tests/cluster/shared_control_plane.h"

namespace grapevine::cluster {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

absl::StatusOr<std::string> KubectlWith(const std::string& kubeconfig,
                                        std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(),
                   {*KubernetesPrograms() + "/kubectl", "--kubeconfig", kubeconfig});
  return RunProgram(arguments);
}

TEST(ControlPlaneTest, ServesTheCrds) {
  const auto text = SharedControlPlane().Kubectl({"get", "tj,cgraph", "--all-namespaces"});
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_THAT(*text, HasSubstr("No resources found"));
}

TEST(ControlPlaneTest, GivesEachTestANamespaceInWhichPodsCanBeMade) {
  ControlPlane& cluster = SharedControlPlane();
  const auto first = cluster.NewNamespace();
  const auto second = cluster.NewNamespace();
  ASSERT_TRUE(first.ok() && second.ok()) << first.status() << second.status();
  EXPECT_NE(*first, *second);
  const auto run = cluster.Kubectl({"run", "x", "--image=x", "--namespace", *first});
  EXPECT_TRUE(run.ok()) << run.status();
}

TEST(ControlPlaneTest, LetsAServiceAccountDoWhatItsRulesSay) {
  ControlPlane& cluster = SharedControlPlane();
  const auto name_space = cluster.NewNamespace();
  ASSERT_TRUE(name_space.ok()) << name_space.status();
  const json rules = {{{"apiGroups", {""}}, {"resources", {"pods"}}, {"verbs", {"list"}}}};
  const auto kubeconfig = cluster.KubeconfigOf(*name_space, "reader", rules);
  ASSERT_TRUE(kubeconfig.ok()) << kubeconfig.status();
  const auto pods = KubectlWith(*kubeconfig, {"get", "pods"});
  EXPECT_TRUE(pods.ok()) << pods.status();
  const auto secrets = KubectlWith(*kubeconfig, {"get", "secrets"});
  ASSERT_FALSE(secrets.ok());
  EXPECT_THAT(std::string(secrets.status().message()), HasSubstr("forbidden"));
}

TEST(ControlPlaneTest, CollectsWhatBelongsToADeletedOwner) {
  ControlPlane& cluster = SharedControlPlane();
  ASSERT_TRUE(cluster.StartControllerManager().ok());
  const auto name_space = cluster.NewNamespace();
  ASSERT_TRUE(name_space.ok()) << name_space.status();
  const std::vector<std::string> in = {"--namespace", *name_space};
  const auto kubectl = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), in.begin(), in.end());
    const auto result = cluster.Kubectl(arguments);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.value_or("");
  };
  kubectl({"create", "configmap", "owner"});
  const std::string uid = kubectl({"get", "configmap", "owner", "-o", "jsonpath={.metadata.uid}"});
  kubectl({"create", "configmap", "owned"});
  kubectl(
      {"patch", "configmap", "owned", "-p",
       json(
           {{"metadata",
             {{"ownerReferences",
               {{{"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"name", "owner"}, {"uid", uid}}}}}}})
           .dump()});
  kubectl({"delete", "configmap", "owner"});
  kubectl({"wait", "--for=delete", "configmap/owned", "--timeout=50s"});
}

}  // namespace
}  // namespace grapevine::cluster
