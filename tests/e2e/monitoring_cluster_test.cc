// What a Prometheus sees of an operator and a job on a real API server: what `grapevine run` cannot
// show.

#include "gtest/gtest.h"
#include "tests/cluster/places.h"
#include "tests/cluster/program.h"
#include "tests/e2e/cluster_fixture.h"

namespace grapevine::e2e {
namespace {

TEST_F(ClusterTest, EveryPanelHasData) {
  auto grapevine = StartOperator("operator");
  StartKubelet();
  nlohmann::json job = Example("digits.yaml");
  job["spec"]["training"]["epochs"] = 100'000;
  // All are on one machine.
  job["spec"]["workers"]["template"]["spec"]["containers"][0]["env"] = {
      {{"name", "GRAPEVINE_METRICS"}, {"value", "127.0.0.1:0"}}};
  ASSERT_TRUE(Kubectl({"apply"}, job.dump()).ok());
  const auto checked = cluster::RunProgram(
      {"python3", "-B", cluster::SourceRoot() + "/tests/monitoring/panels_test.py", "--programs",
       GRAPEVINE_PROMETHEUS, "--operator", "127.0.0.1:" + std::to_string(grapevine->MetricsPort()),
       "--logs", plane_.folder(), "--namespace", name_space_, "--job", "digits"});
  if (checked.status().message().find("no Prometheus") != std::string::npos) {
    GTEST_SKIP() << checked.status().message();
  }
  EXPECT_TRUE(checked.ok()) << checked.status() << grapevine->Log();
}

}  // namespace
}  // namespace grapevine::e2e
