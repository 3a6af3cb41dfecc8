// `grapevine operator` against a real API server, with worker processes for pods.

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/e2e/cluster_fixture.h"

namespace grapevine::e2e {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;

// The digits, by the worker of this build.
std::string DigitsJob(int epochs, const std::string& folder) {
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
        containers:
          - name: worker
            image: grapevine-worker
            command: [{}]
            env: [{{name: GRAPEVINE_METRICS, value: "127.0.0.1:0"}}]  # all pods are on one machine
)",
                     epochs, folder, GRAPEVINE_WORKER_BINARY);
}

TEST_F(ClusterTest, TrainsAJobToItsEnd) {
  auto grapevine = StartOperator("operator");
  StartKubelet();
  const auto applied = Kubectl({"apply"}, DigitsJob(100, plane_.folder()));
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

TEST_F(ClusterTest, AJobIsScaledSuspendedAndGoesOnFromItsCheckpoint) {
  auto grapevine = StartOperator("operator");
  StartKubelet();
  ASSERT_TRUE(Kubectl({"apply"}, DigitsJob(1000, plane_.folder())).ok());
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

TEST_F(ClusterTest, AChangeOfTheSpecReachesRunningWorkers) {
  auto grapevine = StartOperator("operator");
  StartKubelet();
  const std::filesystem::path folder = plane_.folder() + "/live";
  ASSERT_TRUE(Kubectl({"apply"}, DigitsJob(100'000, folder)).ok());
  const auto patch = [&](const std::string& spec) {
    return Kubectl({"patch", "tj", "digits", "--type=merge", "-p", "{\"spec\":" + spec + "}"}).ok();
  };
  const auto checkpoints = [&] {
    std::error_code none;
    return std::ranges::count_if(
        std::filesystem::recursive_directory_iterator(folder, none),
        [](const auto& entry) { return entry.path().extension() == ".safetensors"; });
  };
  const auto wait_for_checkpoints = [&](const auto& enough) {
    const Time limit = clock_.Now() + 30s;
    while (!enough(checkpoints()) && clock_.Now() < limit) std::this_thread::sleep_for(20ms);
    return enough(checkpoints());
  };
  ASSERT_TRUE(patch(R"({"checkpoint":{"everySeconds":1}})"));
  EXPECT_TRUE(wait_for_checkpoints([](auto count) { return count >= 3; })) << grapevine->Log();
  const auto uids = Kubectl({"get", "pods", "-o", "jsonpath={.items[*].metadata.uid}"});
  ASSERT_TRUE(patch(R"({"checkpoint":{"keep":1},"exchange":{"encoding":"BFloat16","perStep":2}})"));
  EXPECT_TRUE(wait_for_checkpoints([](auto count) { return count == 1; })) << grapevine->Log();
  EXPECT_EQ(*Kubectl({"get", "pods", "-o", "jsonpath={.items[*].metadata.uid}"}), *uids);
}

}  // namespace
}  // namespace grapevine::e2e
