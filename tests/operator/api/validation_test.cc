#include "operator/api/validation.h"

#include <fstream>
#include <iterator>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/api/yaml.h"

namespace grapevine::api {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

json Minimal() {
  return json::parse(R"({
    "apiVersion": "grapevine.dev/v1alpha1", "kind": "TrainingJob", "metadata": {"name": "digits"},
    "spec": {"training": {"model": "mlp", "dataset": {"name": "digits"}}}})");
}

// The one violation that `patch` (JSON merge patch of the spec) brings about.
Violation Only(const char* patch) {
  json job = Minimal();
  job["spec"].merge_patch(json::parse(patch));
  const std::vector<Violation> violations = ParseTrainingJob(job).violations;
  EXPECT_THAT(violations, SizeIs(1)) << patch << "\n" << Describe(violations);
  return violations.empty() ? Violation{} : violations[0];
}

std::string Accepts(const char* patch) {
  json job = Minimal();
  job["spec"].merge_patch(json::parse(patch));
  return Describe(ParseTrainingJob(job).violations);
}

TEST(ValidationTest, FillsInTheDefaults) {
  const ParsedTrainingJob parsed = ParseTrainingJob(Minimal());
  EXPECT_EQ(Describe(parsed.violations), "");
  TrainingJob expected;
  expected.metadata.name = "digits";
  EXPECT_EQ(parsed.job, expected);
}

TEST(ValidationTest, LetsTheUpperBoundFollowTheReplicas) {
  json job = Minimal();
  job["spec"]["workers"]["replicas"] = 6;
  const ParsedTrainingJob parsed = ParseTrainingJob(job);
  EXPECT_THAT(parsed.violations, IsEmpty());
  EXPECT_EQ(parsed.job.spec.workers.max_replicas, 6);
  EXPECT_EQ(parsed.job.spec.workers.min_replicas, 1);
}

TEST(ValidationTest, ReportsEverythingAtOnceInTheOrderOfTheFields) {
  const json job = json::parse(R"({
    "apiVersion": "grapevine.dev/v2", "kind": "TrainingJob", "metadata": {"name": "Digits"},
    "spec": {
      "algorithm": "AllReduce",
      "training": {"model": "resnet20", "dataset": {"name": "digits"}, "epochs": -1, "batchSise": 8,
                   "learningRate": "fast", "learningRateSchedule": {"milestones": [3, 2]}},
      "workers": {"replicas": 4, "minReplicas": 5, "maxReplicas": 3},
      "suspend": "no"}})");
  std::vector<std::pair<std::string, std::string>> found;
  for (const Violation& each : ParseTrainingJob(job).violations) {
    found.emplace_back(each.path, each.found);
  }
  using P = std::pair<std::string, std::string>;
  EXPECT_THAT(
      found,
      ElementsAre(P("apiVersion", "\"grapevine.dev/v2\""), P("metadata.name", "\"Digits\""),
                  P("spec.algorithm", "\"AllReduce\""), P("spec.training.model", "\"resnet20\""),
                  P("spec.training.epochs", "-1"), P("spec.training.learningRate", "\"fast\""),
                  P("spec.training.learningRateSchedule.milestones[1]", "2"),
                  P("spec.training.batchSise", "8"), P("spec.workers.minReplicas", "5"),
                  P("spec.workers.maxReplicas", "3"), P("spec.suspend", "\"no\"")));
}

TEST(ValidationTest, SaysWhatIsAllowed) {
  EXPECT_EQ(Only(R"({"training": {"epochs": 0}})").allowed, "an integer from 1 to 100000");
  EXPECT_EQ(Only(R"({"training": {"epochs": "3"}})"),
            (Violation{"spec.training.epochs", "\"3\"", "an integer from 1 to 100000"}));
  EXPECT_EQ(Only(R"({"graph": {"policy": "Star"}})").allowed,
            "one of Auto, Complete, RandomRegular, Ring, Exponential");
  EXPECT_EQ(Only(R"({"algorithm": "DPSGD"})").allowed, "ADPSGD; DPSGD is not available yet");
  EXPECT_EQ(Only(R"({"algorithm": "SGD"})").allowed, "one of ADPSGD, DPSGD, APSGD, AllReduce");
  EXPECT_EQ(Only(R"({"training": {"precision": "BFloat16"}})").allowed,
            "Float32; BFloat16 is not available yet");
  EXPECT_EQ(Only(R"({"exchange": {"perstep": 1}})").allowed,
            "no such field; did you mean \"perStep\"?");
  EXPECT_EQ(Only(R"({"workers": 4})"), (Violation{"spec.workers", "4", "a mapping"}));
  EXPECT_EQ(Only(R"({"training": null})").found, "nothing");
  EXPECT_EQ(Only(R"({"training": {"model": null}})").path, "spec.training.model");
  EXPECT_EQ(Only(R"({"training": {"dataset": null}})").path, "spec.training.dataset");
}

TEST(ValidationTest, TakesFractionsAsStringsAndAsNumbers) {
  json job = Minimal();
  job["spec"]["training"]["learningRate"] = 0.5;
  job["spec"]["training"]["momentum"] = "0.5";
  job["spec"]["training"]["epochs"] = 3;
  job["spec"]["training"]["learningRateSchedule"] = {{"warmupEpochs", "0.5"},
                                                     {"milestones", {1, "2.5", 2.75}}};
  const ParsedTrainingJob parsed = ParseTrainingJob(job);
  EXPECT_EQ(Describe(parsed.violations), "");
  EXPECT_EQ(parsed.job.spec.training.learning_rate, 0.5);
  EXPECT_EQ(parsed.job.spec.training.momentum, 0.5);
  EXPECT_THAT(parsed.job.spec.training.learning_rate_schedule.milestones,
              ElementsAre(1, 2.5, 2.75));
}

TEST(ValidationTest, LeavesGradientsAloneUnlessTheyAreBounded) {
  EXPECT_EQ(ParseTrainingJob(Minimal()).job.spec.training.max_gradient_norm, std::nullopt);
  json job = Minimal();
  job["spec"]["training"]["maxGradientNorm"] = "2.5";
  EXPECT_EQ(ParseTrainingJob(job).job.spec.training.max_gradient_norm, 2.5);
  EXPECT_EQ(Only(R"({"training": {"maxGradientNorm": 0}})").path, "spec.training.maxGradientNorm");
}

TEST(ValidationTest, FindsFieldsThatContradictEachOther) {
  EXPECT_EQ(Only(R"({"workers": {"replicas": 2, "minReplicas": 3}})").allowed,
            "at most spec.workers.replicas (2)");
  EXPECT_EQ(Only(R"({"workers": {"replicas": 2, "maxReplicas": 1}})").allowed,
            "at least spec.workers.replicas (2)");
  EXPECT_EQ(Only(R"({"training": {"epochs": 2, "learningRateSchedule": {"warmupEpochs": "2.5"}}})"),
            (Violation{"spec.training.learningRateSchedule.warmupEpochs", "\"2.5\"",
                       "at most spec.training.epochs (2)"}));
  EXPECT_EQ(Only(R"({"training": {"learningRateSchedule": {"milestones": [2, 2]}}})").allowed,
            "more than the milestone before (2)");
  EXPECT_EQ(Accepts(R"({"training": {"epochs": 2, "learningRateSchedule": {"milestones": [9]}}})"),
            "");
}

TEST(ValidationTest, DoesNotBlameWhatFollowsFromAnotherViolation) {
  EXPECT_EQ(Only(R"({"workers": {"replicas": 0, "minReplicas": 3}})").path,
            "spec.workers.replicas");
  EXPECT_EQ(
      Only(R"({"training": {"epochs": 0, "learningRateSchedule": {"warmupEpochs": 3}}})").path,
      "spec.training.epochs");
  EXPECT_EQ(Only(R"({"training": {"model": "lenet5", "dataset": {"name": "nist"}}})").path,
            "spec.training.dataset.name");
}

TEST(ValidationTest, WantsAPathWhereThereAreFilesAndNowhereElse) {
  EXPECT_EQ(
      Only(R"({"training": {"dataset": {"name": "mnist"}}})"),
      (Violation{"spec.training.dataset.path", "nothing", "the folder with the files of mnist"}));
  EXPECT_EQ(Only(R"({"training": {"dataset": {"name": "mnist", "path": ""}}})").found, "\"\"");
  EXPECT_EQ(Only(R"({"training": {"dataset": {"name": "mnist", "path": 3}}})").allowed,
            "a string of at most 4096 characters");
  EXPECT_EQ(Only(R"({"training": {"dataset": {"name": "digits", "path": "/x"}}})").allowed,
            "nothing: digits needs no files");
  EXPECT_EQ(Only(R"({"training": {"dataset": {"name": "digits", "classes": 3}}})").allowed,
            "nothing: it is an option of synthetic alone");
}

TEST(ValidationTest, WantsAModelForTheSamples) {
  EXPECT_EQ(Only(R"({"training": {"model": "lenet5"}})").allowed,
            "a model for samples of 1x8x8, which digits has; lenet5 takes 1x28x28");
  EXPECT_EQ(Only(R"({"training": {"model": "resnet20",
                     "dataset": {"name": "mnist", "path": "/d"}}})")
                .path,
            "spec.training.model");
  EXPECT_EQ(Accepts(R"({"training": {"model": "resnet20",
                        "dataset": {"name": "synthetic", "shape": [3, 32, 32]}}})"),
            "");
  EXPECT_EQ(Accepts(R"({"training": {"dataset": {"name": "cifar10", "path": "/d"}}})"), "");
  EXPECT_EQ(Only(R"({"training": {"dataset": {"name": "synthetic", "shape": [3, 0, 32]}}})").path,
            "spec.training.dataset.shape");
  EXPECT_EQ(Only(R"({"training": {"dataset": {"name": "synthetic", "shape": [3, 32]}}})").path,
            "spec.training.dataset.shape");
}

TEST(ValidationTest, BoundsNames) {
  for (const char* name : {"", "-a", "a-", "A", "a.b", "a_b", "\xC3\xA4"}) {
    json job = Minimal();
    job["metadata"]["name"] = name;
    EXPECT_THAT(ParseTrainingJob(job).violations, SizeIs(1)) << name;
  }
  json job = Minimal();
  job["metadata"]["name"] = std::string(50, 'a');
  EXPECT_THAT(ParseTrainingJob(job).violations, IsEmpty());
  job["metadata"]["name"] = std::string(51, 'a');
  EXPECT_THAT(ParseTrainingJob(job).violations, SizeIs(1));
  job["metadata"].erase("name");
  EXPECT_THAT(ParseTrainingJob(job).violations, SizeIs(1));
  job.erase("metadata");
  EXPECT_THAT(ParseTrainingJob(job).violations, SizeIs(1));
}

TEST(ValidationTest, ChecksMetadataThatAUserWrites) {
  json job = Minimal();
  job["metadata"] = {{"name", "digits"},
                     {"namespace", "Lab"},
                     {"label", {{"a", "b"}}},
                     {"labels", {{"a", 1}}},
                     {"annotations", 3}};
  std::vector<std::string> paths;
  for (const Violation& each : ParseTrainingJob(job).violations) paths.push_back(each.path);
  EXPECT_THAT(paths, ElementsAre("metadata.namespace", "metadata.labels.a", "metadata.annotations",
                                 "metadata.label"));
}

TEST(ValidationTest, BoundsListsAndTheTemplate) {
  json job = Minimal();
  job["spec"]["workers"]["removeFirst"] = {"digits-0-0", "Digits", 3};
  EXPECT_THAT(ParseTrainingJob(job).violations, SizeIs(2));
  job = Minimal();
  job["spec"]["workers"]["removeFirst"] = std::vector<std::string>(1001, "x");
  EXPECT_THAT(ParseTrainingJob(job).violations, SizeIs(1));
  job = Minimal();
  job["spec"]["workers"]["template"]["x"] = std::string(70'000, 'x');
  EXPECT_THAT(ParseTrainingJob(job).violations, SizeIs(1));
}

TEST(ValidationTest, RefusesThingsThatAreNoJob) {
  for (const json& thing : {json(), json(3), json("x"), json::array(), json::object()}) {
    EXPECT_FALSE(ParseTrainingJob(thing).violations.empty()) << thing;
    EXPECT_EQ(TrainingJobFromJson(thing).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(ValidationTest, JoinsAllViolationsInOneStatus) {
  json job = Minimal();
  job["spec"]["training"]["epochs"] = 0;
  job["spec"]["suspend"] = 1;
  EXPECT_EQ(TrainingJobFromJson(job).status().message(),
            "spec.training.epochs: found 0, allowed is an integer from 1 to 100000\n"
            "spec.suspend: found 1, allowed is true or false");
}

TEST(OverrideTest, SetsAFieldByItsPath) {
  json job = Minimal();
  ASSERT_TRUE(ApplyOverride(job, "training.epochs=3").ok());
  ASSERT_TRUE(ApplyOverride(job, "training.learningRate=\"0.5\"").ok());
  ASSERT_TRUE(ApplyOverride(job, "workers.replicas=4").ok());
  ASSERT_TRUE(ApplyOverride(job, "training.learningRateSchedule.milestones=[1, 2]").ok());
  ASSERT_TRUE(ApplyOverride(job, "checkpoint.path=a=b").ok());
  const ParsedTrainingJob parsed = ParseTrainingJob(job);
  EXPECT_EQ(Describe(parsed.violations), "");
  EXPECT_EQ(parsed.job.spec.training.epochs, 3);
  EXPECT_EQ(parsed.job.spec.training.learning_rate, 0.5);
  EXPECT_EQ(parsed.job.spec.workers.replicas, 4);
  EXPECT_THAT(parsed.job.spec.training.learning_rate_schedule.milestones, ElementsAre(1, 2));
  EXPECT_EQ(parsed.job.spec.checkpoint.path, "a=b");
}

TEST(OverrideTest, LeavesUnknownFieldsToValidation) {
  json job = Minimal();
  ASSERT_TRUE(ApplyOverride(job, "training.epoch=3").ok());
  ASSERT_TRUE(ApplyOverride(job, "colour.hue=red").ok());
  EXPECT_THAT(ParseTrainingJob(job).violations, SizeIs(2));
}

TEST(OverrideTest, RefusesOtherForms) {
  for (const char* assignment :
       {"", "=", "=3", "training.epochs", ".epochs=3", "training.=3", "training..epochs=3",
        "training.model.name=3", "a=[1", "a={x: 1, x: 2}"}) {
    json job = Minimal();
    EXPECT_EQ(ApplyOverride(job, assignment).code(), absl::StatusCode::kInvalidArgument)
        << assignment;
  }
  json no_job = json::array();
  EXPECT_FALSE(ApplyOverride(no_job, "training.epochs=3").ok());
  json job = Minimal();
  EXPECT_THAT(std::string(ApplyOverride(job, "training.model.name=3").message()),
              HasSubstr("spec.training.model is \"mlp\", which has no fields"));
}

}  // namespace
}  // namespace grapevine::api
