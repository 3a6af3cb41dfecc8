#include <algorithm>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/api/training_job.h"
#include "operator/api/validation.h"
#include "tests/cluster/places.h"
#include "tests/cluster/shared_control_plane.h"

// What a real API server does with TrainingJobs, apart from refusing bad ones.
namespace grapevine {
namespace {

using cluster::ControlPlane;
using cluster::SharedControlPlane;
using nlohmann::json;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;

class TrainingJobCrdTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto name_space = cluster_.NewNamespace();
    ASSERT_TRUE(name_space.ok()) << name_space.status();
    name_space_ = *name_space;
  }

  absl::StatusOr<std::string> Try(std::vector<std::string> arguments,
                                  const std::string& input = "") {
    arguments.insert(arguments.end(), {"--namespace", name_space_});
    return cluster_.Kubectl(arguments, input);
  }
  std::string Kubectl(std::vector<std::string> arguments, const std::string& input = "") {
    const auto result = Try(std::move(arguments), input);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.value_or("");
  }
  std::string Refusal(std::vector<std::string> arguments) {
    const auto result = Try(std::move(arguments));
    EXPECT_FALSE(result.ok()) << *result;
    return std::string(result.status().message());
  }

  void CreateMinimal() {
    Kubectl({"create"}, R"({"apiVersion": "grapevine.dev/v1alpha1", "kind": "TrainingJob",
        "metadata": {"name": "x"},
        "spec": {"training": {"model": "mlp", "dataset": {"name": "digits"}, "epochs": 3}}})");
  }
  json Get() { return json::parse(Kubectl({"get", "tj", "x", "-o", "json"})); }
  static std::vector<std::string> Patch(const json& patch) {
    return {"patch", "tj", "x", "--type=merge", "-p", patch.dump()};
  }
  void SetStatus(const json& status) {
    std::vector<std::string> arguments = Patch({{"status", status}});
    arguments.push_back("--subresource=status");
    Kubectl(arguments);
  }
  void SetConditions(const std::vector<std::string>& holding) {
    json conditions = json::array();
    for (const char* type : {api::kFailed, api::kSucceeded, api::kSuspended, api::kDegraded,
                             api::kRunning, api::kInitialized}) {
      const bool holds = std::find(holding.begin(), holding.end(), type) != holding.end();
      conditions.push_back({{"type", type},
                            {"status", holds ? "True" : "False"},
                            {"reason", "Because"},
                            {"message", ""},
                            {"lastTransitionTime", "2024-05-01T09:30:00Z"}});
    }
    SetStatus({{"conditions", conditions}});
  }

  ControlPlane& cluster_ = SharedControlPlane();
  std::string name_space_;
};

TEST_F(TrainingJobCrdTest, FillsInTheDefaultsOfTheOperator) {
  CreateMinimal();
  api::TrainingJobSpec expected;
  expected.training.epochs = 3;
  const auto job = api::TrainingJobFromJson(Get());
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(job->spec, expected);

  // Not only where the operator reads it: what a user sees is what will be done.
  json written = ToJson(expected);
  written.at("workers").erase("maxReplicas");  // follows replicas while it is left out
  EXPECT_EQ(Get().at("spec"), written);
}

TEST_F(TrainingJobCrdTest, TakesTheExamplesAsTheyAre) {
  Kubectl({"create", "-f", cluster::SourceRoot() + "/examples"});
}

TEST_F(TrainingJobCrdTest, TakesAndGivesBackAllThatTheOperatorWrites) {
  api::TrainingJob job;
  job.metadata.name = "x";
  job.metadata.name_space = name_space_;
  job.spec.training.dataset = {.name = api::DatasetName::kSynthetic, .shape = {3, 32, 32}};
  job.spec.training.model = api::Model::kResNet20;
  job.spec.training.learning_rate = 1e-05;
  job.spec.training.learning_rate_schedule = {0.5, {0.25, 0.75}, 1.0 / 3};
  job.spec.training.seed = (int64_t{1} << 53) - 1;
  job.spec.workers = {.replicas = 3, .min_replicas = 2, .max_replicas = 10'000};
  job.spec.workers.remove_first = {"x-1-0"};
  job.spec.workers.pod_template = {
      {"metadata", {{"annotations", {{"a", "b"}}}}},
      {"spec", {{"containers", {{{"name", "c"}, {"securityContext", json::object()}}}}}}};
  job.spec.checkpoint.path = "/c";
  job.spec.active_deadline_seconds = 60;
  job.spec.ttl_seconds_after_finished = 0;
  job.spec.managed_by = "kueue.x-k8s.io/multikueue";
  job.status.start_time = "2024-05-01T09:30:00Z";
  job.status.completion_time = "2024-05-01T09:31:00Z";
  job.status.conditions = {
      {api::kSucceeded, "True", "TrainingDone", "it is done", 1, "2024-05-01T09:31:00Z"}};
  job.status.workers = {3, 3, 3, 1, 2, "grapevine.dev/job-name=x"};
  job.status.progress = {int64_t{1} << 50, 4, 100, 1e20, 0};
  job.status.graph = {17, 3, 2, 1e-9};
  job.status.result = api::ResultStatus{.loss = 1e-30,
                                        .accuracy = 0.9919,
                                        .samples = 10'000,
                                        .checkpoint = "/c/uid/final.safetensors"};

  const json written = ToJson(job);
  Kubectl({"create"}, written.dump());
  SetStatus(written.at("status"));
  EXPECT_EQ(Get().at("spec"), written.at("spec"));
  EXPECT_EQ(Get().at("status"), written.at("status"));
}

TEST_F(TrainingJobCrdTest, TakesTheStatusOfAJobThatHasJustBegun) {
  CreateMinimal();
  const json written = ToJson(api::TrainingJobStatus{});
  SetStatus(written);
  EXPECT_EQ(Get().at("status"), written);
}

TEST_F(TrainingJobCrdTest, FixesWhatMustNotChangeOnceTheJobHasStarted) {
  CreateMinimal();
  Kubectl(Patch({{"spec", {{"training", {{"epochs", 4}}}, {"checkpoint", {{"path", "/a"}}}}}}));
  SetConditions({api::kSuspended});  // it has had no pods yet
  Kubectl(Patch({{"spec", {{"training", {{"epochs", 5}}}, {"checkpoint", {{"path", "/b"}}}}}}));

  for (const std::vector<std::string>& holding :
       {std::vector<std::string>{api::kInitialized, api::kRunning},
        std::vector<std::string>{api::kInitialized, api::kSuspended}}) {
    SetConditions(holding);
    EXPECT_THAT(Refusal(Patch({{"spec", {{"training", {{"epochs", 6}}}}}})),
                HasSubstr("spec.training cannot change once the job has started"));
    EXPECT_THAT(Refusal(Patch({{"spec", {{"training", {{"maxGradientNorm", "1"}}}}}})),
                HasSubstr("spec.training cannot change once the job has started"));
    for (const json& path : {json("/c"), json()}) {
      EXPECT_THAT(Refusal(Patch({{"spec", {{"checkpoint", {{"path", path}}}}}})),
                  HasSubstr("spec.checkpoint.path cannot change once the job has started"));
    }
    EXPECT_THAT(Refusal(Patch({{"spec", {{"algorithm", "DPSGD"}}}})),
                HasSubstr("spec.algorithm cannot change once the job has started"));
  }
  Kubectl(Patch({{"spec",
                  {{"suspend", true},
                   {"exchange", {{"perStep", 2}}},
                   {"graph", {{"policy", "Ring"}}},
                   {"checkpoint", {{"everySeconds", 7}}},
                   {"workers", {{"replicas", 5}}}}}}));
}

TEST_F(TrainingJobCrdTest, IsScaledByKubectlWithinItsBounds) {
  CreateMinimal();
  Kubectl(
      Patch({{"spec", {{"workers", {{"replicas", 2}, {"minReplicas", 2}, {"maxReplicas", 4}}}}}}));
  Kubectl({"scale", "tj/x", "--replicas=4"});
  EXPECT_EQ(Get()["spec"]["workers"]["replicas"], 4);
  EXPECT_THAT(Refusal({"scale", "tj/x", "--replicas=5"}),
              HasSubstr("spec.workers.maxReplicas: Invalid value: \"object\": "
                        "must be at least spec.workers.replicas"));
  EXPECT_THAT(Refusal({"scale", "tj/x", "--replicas=1"}),
              HasSubstr("spec.workers.minReplicas: Invalid value: \"object\": "
                        "must be at most spec.workers.replicas"));

  // What an autoscaler reads.
  SetStatus({{"workers", {{"active", 3}, {"selector", "grapevine.dev/job-name=x"}}}});
  const json scale = json::parse(Kubectl({"get", "tj", "x", "--subresource=scale", "-o", "json"}));
  EXPECT_EQ(scale["spec"]["replicas"], 4);
  EXPECT_EQ(scale["status"]["replicas"], 3);
  EXPECT_EQ(scale["status"]["selector"], "grapevine.dev/job-name=x");
}

TEST_F(TrainingJobCrdTest, IsListedWithItsStateAndResult) {
  CreateMinimal();
  EXPECT_THAT(Kubectl({"get", "tj"}),
              ContainsRegex("NAME +ALGORITHM +DESIRED +MEMBERS +PROGRESS +ACCURACY +STATE +AGE\n"
                            "x +ADPSGD +1 +[0-9]+s\n"));
  SetStatus({{"workers", {{"members", 3}}},
             {"progress", {{"percent", 45}}},
             {"result", {{"accuracy", "0.9919"}}}});
  const auto line = [&](const std::vector<std::string>& holding) {
    SetConditions(holding);
    return Kubectl({"get", "tj", "x", "--no-headers"});
  };
  EXPECT_THAT(line({api::kInitialized}), ContainsRegex(" 3 +45 +0.9919 +Initialized +"));
  EXPECT_THAT(line({api::kInitialized, api::kRunning}), ContainsRegex("0.9919 +Running +"));
  EXPECT_THAT(line({api::kInitialized, api::kDegraded}), ContainsRegex("0.9919 +Degraded +"));
  EXPECT_THAT(line({api::kInitialized, api::kSuspended}), ContainsRegex("0.9919 +Suspended +"));
  EXPECT_THAT(line({api::kInitialized, api::kSucceeded}), ContainsRegex("0.9919 +Succeeded +"));
  EXPECT_THAT(line({api::kInitialized, api::kFailed}), ContainsRegex("0.9919 +Failed +"));
  EXPECT_THAT(Kubectl({"get", "all"}), HasSubstr("trainingjob.grapevine.dev/x"));
}

TEST_F(TrainingJobCrdTest, IsExplainedByKubectl) {
  const std::string text = Kubectl({"explain", "tj.spec.exchange"});
  EXPECT_THAT(text, HasSubstr("How members average their models with each other."));
  EXPECT_THAT(text, HasSubstr("perStep\t<integer>"));
  EXPECT_THAT(text, HasSubstr("Exchanges that an active member makes for each step"));
}

}  // namespace
}  // namespace grapevine
