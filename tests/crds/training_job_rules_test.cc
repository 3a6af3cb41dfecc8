#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/api/validation.h"
#include "tests/cluster/shared_control_plane.h"

// The schema of crds/ and operator/api/validation are two texts of the same rules. Each job of one
// table goes through both.
namespace grapevine {
namespace {

using cluster::SharedControlPlane;
using nlohmann::json;
using ::testing::HasSubstr;

enum class Judge {
  kNone,    // the job is good
  kBoth,    // refuse it
  kServer,  // alone refuses it
};

struct Row {
  const char* patch;  // JSON merge patch of a minimal job's spec
  Judge refused_by = Judge::kNone;
  const char* field = "";  // that both name
  const char* limit = "";  // of the server's words
};

const Row kRows[] = {
    {"{}"},
    // Numbers, at their bounds and beyond.
    {R"({"training": {"epochs": 1}})"},
    {R"({"training": {"epochs": 100000}})"},
    {R"({"training": {"epochs": 0}})", Judge::kBoth, "spec.training.epochs", "1"},
    {R"({"training": {"epochs": 100001}})", Judge::kBoth, "spec.training.epochs", "100000"},
    {R"({"training": {"epochs": "3"}})", Judge::kBoth, "spec.training.epochs", "integer"},
    {R"({"training": {"epochs": 1.5}})", Judge::kBoth, "spec.training.epochs", "integer"},
    {R"({"training": {"batchSize": 2}})"},
    {R"({"training": {"batchSize": 65536}})"},
    {R"({"training": {"batchSize": 1}})", Judge::kBoth, "spec.training.batchSize", "2"},
    {R"({"training": {"batchSize": 65537}})", Judge::kBoth, "spec.training.batchSize", "65536"},
    {R"({"training": {"seed": 0}})"},
    {R"({"training": {"seed": 9007199254740991}})"},
    {R"({"training": {"seed": -1}})", Judge::kBoth, "spec.training.seed", "0"},
    {R"({"training": {"seed": 9007199254740993}})", Judge::kBoth, "spec.training.seed",
     "9007199254740991"},
    {R"({"exchange": {"perStep": 0}})"},
    {R"({"exchange": {"perStep": 64}})"},
    {R"({"exchange": {"perStep": -1}})", Judge::kBoth, "spec.exchange.perStep", "0"},
    {R"({"exchange": {"perStep": 65}})", Judge::kBoth, "spec.exchange.perStep", "64"},
    {R"({"graph": {"degree": 2}})"},
    {R"({"graph": {"degree": 64}})"},
    {R"({"graph": {"degree": 1}})", Judge::kBoth, "spec.graph.degree", "2"},
    {R"({"graph": {"degree": 65}})", Judge::kBoth, "spec.graph.degree", "64"},
    {R"({"checkpoint": {"everySeconds": 2147483647, "keep": 1000}})"},
    {R"({"checkpoint": {"everySeconds": 0}})", Judge::kBoth, "spec.checkpoint.everySeconds", "1"},
    {R"({"checkpoint": {"everySeconds": 2147483648}})", Judge::kBoth,
     "spec.checkpoint.everySeconds", "2147483647"},
    {R"({"checkpoint": {"keep": 0}})", Judge::kBoth, "spec.checkpoint.keep", "1"},
    {R"({"checkpoint": {"keep": 1001}})", Judge::kBoth, "spec.checkpoint.keep", "1000"},
    {R"({"failurePolicy": {"maxRestarts": 0}})"},
    {R"({"failurePolicy": {"maxRestarts": 1000000}})"},
    {R"({"failurePolicy": {"maxRestarts": -1}})", Judge::kBoth, "spec.failurePolicy.maxRestarts",
     "0"},
    {R"({"failurePolicy": {"maxRestarts": 1000001}})", Judge::kBoth,
     "spec.failurePolicy.maxRestarts", "1000000"},
    {R"({"activeDeadlineSeconds": 1, "ttlSecondsAfterFinished": 0})"},
    {R"({"activeDeadlineSeconds": 0})", Judge::kBoth, "spec.activeDeadlineSeconds", "1"},
    {R"({"activeDeadlineSeconds": 2147483648})", Judge::kBoth, "spec.activeDeadlineSeconds",
     "2147483647"},
    {R"({"ttlSecondsAfterFinished": -1})", Judge::kBoth, "spec.ttlSecondsAfterFinished", "0"},
    // Numbers with a fraction.
    {R"({"training": {"learningRate": 1}})"},
    {R"({"training": {"learningRate": "1000"}})"},
    {R"({"training": {"learningRate": "1e-300"}})"},
    {R"({"training": {"learningRate": "+.5"}})"},
    {R"({"training": {"learningRate": "5."}})"},
    {R"({"training": {"learningRate": "1E+2"}})"},
    {R"({"training": {"learningRate": 0}})", Judge::kBoth, "spec.training.learningRate", "above 0"},
    {R"({"training": {"learningRate": "0.0"}})", Judge::kBoth, "spec.training.learningRate",
     "above 0"},
    {R"({"training": {"learningRate": "-1"}})", Judge::kBoth, "spec.training.learningRate",
     "above 0"},
    {R"({"training": {"learningRate": 1001}})", Judge::kBoth, "spec.training.learningRate",
     "at most 1000"},
    {R"({"training": {"learningRate": "1000.1"}})", Judge::kBoth, "spec.training.learningRate",
     "at most 1000"},
    {R"({"training": {"learningRate": "1e999"}})", Judge::kBoth, "spec.training.learningRate"},
    {R"({"training": {"learningRate": "fast"}})", Judge::kBoth, "spec.training.learningRate"},
    {R"({"training": {"learningRate": "inf"}})", Judge::kBoth, "spec.training.learningRate"},
    {R"({"training": {"learningRate": "0x1p-2"}})", Judge::kBoth, "spec.training.learningRate"},
    {R"({"training": {"learningRate": ""}})", Judge::kBoth, "spec.training.learningRate"},
    {R"({"training": {"learningRate": "."}})", Judge::kBoth, "spec.training.learningRate"},
    {R"({"training": {"learningRate": "0.1000000000000000055511151231258"}})", Judge::kBoth,
     "spec.training.learningRate", "32"},
    {R"({"training": {"learningRate": true}})", Judge::kBoth, "spec.training.learningRate"},
    // A job file for `grapevine run` may say it as a number; a resource holds no floats.
    {R"({"training": {"learningRate": 0.1}})", Judge::kServer, "spec.training.learningRate"},
    {R"({"training": {"momentum": 0}})"},
    {R"({"training": {"momentum": "0.9999"}})"},
    {R"({"training": {"momentum": 1}})", Judge::kBoth, "spec.training.momentum", "0.9999"},
    {R"({"training": {"momentum": "-0.1"}})", Judge::kBoth, "spec.training.momentum", "0"},
    {R"({"training": {"weightDecay": "1"}})"},
    {R"({"training": {"weightDecay": "1.01"}})", Judge::kBoth, "spec.training.weightDecay", "1"},
    {R"({"training": {"maxGradientNorm": 1}})"},
    {R"({"training": {"maxGradientNorm": "1e6"}})"},
    {R"({"training": {"maxGradientNorm": 0}})", Judge::kBoth, "spec.training.maxGradientNorm",
     "above 0"},
    {R"({"training": {"maxGradientNorm": 1000001}})", Judge::kBoth, "spec.training.maxGradientNorm",
     "at most 1000000"},
    {R"({"training": {"learningRateSchedule": {"factor": 1}}})"},
    {R"({"training": {"learningRateSchedule": {"factor": 0}}})", Judge::kBoth,
     "spec.training.learningRateSchedule.factor", "above 0"},
    {R"({"training": {"learningRateSchedule": {"factor": "1.1"}}})", Judge::kBoth,
     "spec.training.learningRateSchedule.factor", "at most 1"},
    {R"({"training": {"epochs": 3, "learningRateSchedule": {"warmupEpochs": 3}}})"},
    {R"({"training": {"epochs": 3, "learningRateSchedule": {"warmupEpochs": "3.1"}}})",
     Judge::kBoth, "spec.training.learningRateSchedule.warmupEpochs",
     "at most spec.training.epochs"},
    {R"({"training": {"learningRateSchedule": {"warmupEpochs": "-1"}}})", Judge::kBoth,
     "spec.training.learningRateSchedule.warmupEpochs", "from 0 to 100000"},
    {R"({"training": {"learningRateSchedule": {"milestones": [0, "0.5", 100000]}}})"},
    {R"({"training": {"learningRateSchedule": {"milestones":
         [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]}}})"},
    {R"({"training": {"learningRateSchedule": {"milestones":
         [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]}}})",
     Judge::kBoth, "spec.training.learningRateSchedule.milestones", "16"},
    {R"({"training": {"learningRateSchedule": {"milestones": [2, "2.0"]}}})", Judge::kBoth,
     "spec.training.learningRateSchedule.milestones", "ascending"},
    {R"({"training": {"learningRateSchedule": {"milestones": [10, "9"]}}})", Judge::kBoth,
     "spec.training.learningRateSchedule.milestones", "ascending"},
    {R"({"training": {"learningRateSchedule": {"milestones": [100001]}}})", Judge::kBoth,
     "spec.training.learningRateSchedule.milestones[0]", "from 0 to 100000"},
    // Names from a list.
    {R"({"algorithm": "ADPSGD"})"},
    {R"({"algorithm": "DPSGD"})", Judge::kBoth, "spec.algorithm", "DPSGD is not available yet"},
    {R"({"algorithm": "SGD"})", Judge::kBoth, "spec.algorithm", "AllReduce"},
    {R"({"algorithm": "adpsgd"})", Judge::kBoth, "spec.algorithm", "ADPSGD"},
    {R"({"training": {"precision": "BFloat16"}})", Judge::kBoth, "spec.training.precision",
     "BFloat16 is not available yet"},
    {R"({"training": {"precision": "Float64"}})", Judge::kBoth, "spec.training.precision",
     "Float32"},
    {R"({"training": {"learningRateScaling": "Sqrt"}})"},
    {R"({"training": {"learningRateScaling": "None"}})"},
    {R"({"training": {"learningRateScaling": "Cubic"}})", Judge::kBoth,
     "spec.training.learningRateScaling", "Linear"},
    {R"({"exchange": {"encoding": "Int8"}})"},
    {R"({"exchange": {"encoding": "Int4"}})", Judge::kBoth, "spec.exchange.encoding", "Int8"},
    {R"({"graph": {"policy": "Exponential"}})"},
    {R"({"graph": {"policy": "Star"}})", Judge::kBoth, "spec.graph.policy", "RandomRegular"},
    {R"({"training": {"model": "vgg"}})", Judge::kBoth, "spec.training.model", "resnet20"},
    {R"({"training": {"dataset": {"name": "imagenet"}}})", Judge::kBoth,
     "spec.training.dataset.name", "cifar10"},
    {R"({"training": {"nesterov": false}, "suspend": true})"},
    {R"({"training": {"nesterov": "no"}})", Judge::kBoth, "spec.training.nesterov", "boolean"},
    {R"({"suspend": 1})", Judge::kBoth, "spec.suspend", "boolean"},
    // What must be there, and what must not.
    {R"({"training": null})", Judge::kBoth, "spec.training", "Required"},
    {R"({"training": {"model": null}})", Judge::kBoth, "spec.training.model", "Required"},
    {R"({"training": {"dataset": null}})", Judge::kBoth, "spec.training.dataset", "Required"},
    {R"({"training": {"dataset": {"name": null}}})", Judge::kBoth, "spec.training.dataset.name",
     "Required"},
    {R"({"epochs": 3})", Judge::kBoth, "spec.epochs", "unknown field"},
    {R"({"training": {"dataset": {"folder": "/x"}}})", Judge::kBoth, "spec.training.dataset.folder",
     "unknown field"},
    {R"({"exchange": 3})", Judge::kBoth, "spec.exchange", "object"},
    {R"({"workers": []})", Judge::kBoth, "spec.workers", "object"},
    // Data sets and the models that take them.
    {R"({"training": {"model": "lenet5", "dataset": {"name": "mnist", "path": "/d"}}})"},
    {R"({"training": {"model": "resnet20", "dataset": {"name": "cifar10", "path": "/d"}}})"},
    {R"({"training": {"model": "mlp", "dataset": {"name": "cifar10", "path": "/d"}}})"},
    {R"({"training": {"model": "lenet5",
         "dataset": {"name": "synthetic", "shape": [1, 28, 28]}}})"},
    {R"({"training": {"dataset": {"name": "synthetic", "shape": [1024, 1, 1], "classes": 100000,
         "samples": 1000000000}}})"},
    {R"({"training": {"dataset": {"name": "mnist"}}})", Judge::kBoth, "spec.training.dataset.path",
     "the folder with the files of mnist"},
    {R"({"training": {"dataset": {"name": "cifar10", "path": ""}}})", Judge::kBoth,
     "spec.training.dataset.path"},
    {R"({"training": {"dataset": {"path": "/d"}}})", Judge::kBoth, "spec.training.dataset.path",
     "digits needs no files"},
    {R"({"training": {"dataset": {"shape": [1, 8, 8]}}})", Judge::kBoth,
     "spec.training.dataset.shape", "synthetic alone"},
    {R"({"training": {"dataset": {"classes": 3}}})", Judge::kBoth, "spec.training.dataset.classes",
     "synthetic alone"},
    {R"({"training": {"dataset": {"samples": 3}}})", Judge::kBoth, "spec.training.dataset.samples",
     "synthetic alone"},
    {R"({"training": {"dataset": {"name": "synthetic", "shape": [1, 8]}}})", Judge::kBoth,
     "spec.training.dataset.shape", "3"},
    {R"({"training": {"dataset": {"name": "synthetic", "shape": [1, 8, 8, 8]}}})", Judge::kBoth,
     "spec.training.dataset.shape", "3"},
    {R"({"training": {"dataset": {"name": "synthetic", "shape": [1, 0, 8]}}})", Judge::kBoth,
     "spec.training.dataset.shape", "1"},
    {R"({"training": {"dataset": {"name": "synthetic", "shape": [1, 1025, 8]}}})", Judge::kBoth,
     "spec.training.dataset.shape", "1024"},
    {R"({"training": {"dataset": {"name": "synthetic", "classes": 1}}})", Judge::kBoth,
     "spec.training.dataset.classes", "2"},
    {R"({"training": {"dataset": {"name": "synthetic", "samples": 1}}})", Judge::kBoth,
     "spec.training.dataset.samples", "2"},
    {R"({"training": {"model": "lenet5"}})", Judge::kBoth, "spec.training.model", "1x28x28"},
    {R"({"training": {"model": "lenet5", "dataset": {"name": "synthetic"}}})", Judge::kBoth,
     "spec.training.model", "1x28x28"},
    {R"({"training": {"model": "resnet20", "dataset": {"name": "mnist", "path": "/d"}}})",
     Judge::kBoth, "spec.training.model", "3x32x32"},
    // Workers.
    {R"({"workers": {"replicas": 10000, "minReplicas": 10000, "maxReplicas": 10000}})"},
    {R"({"workers": {"replicas": 6}})"},
    {R"({"workers": {"replicas": 0}})", Judge::kBoth, "spec.workers.replicas", "1"},
    {R"({"workers": {"replicas": 10001}})", Judge::kBoth, "spec.workers.replicas", "10000"},
    {R"({"workers": {"replicas": 2, "minReplicas": 3}})", Judge::kBoth, "spec.workers.minReplicas",
     "at most spec.workers.replicas"},
    {R"({"workers": {"minReplicas": 2}})", Judge::kBoth, "spec.workers.minReplicas",
     "at most spec.workers.replicas"},
    {R"({"workers": {"replicas": 2, "maxReplicas": 1}})", Judge::kBoth, "spec.workers.maxReplicas",
     "at least spec.workers.replicas"},
    {R"({"workers": {"removeFirst": ["digits-0-0", "a.b"]}})"},
    {R"({"workers": {"removeFirst": ["Digits"]}})", Judge::kBoth, "spec.workers.removeFirst[0]"},
    {R"({"workers": {"removeFirst": ["a..b"]}})", Judge::kBoth, "spec.workers.removeFirst[0]"},
    {R"({"workers": {"removeFirst": ["a", ""]}})", Judge::kBoth, "spec.workers.removeFirst[1]"},
    {R"({"workers": {"removeFirst": [1]}})", Judge::kBoth, "spec.workers.removeFirst[0]", "string"},
    {R"({"workers": {"template": {"spec": {"any": [{"thing": 1.5}]}}}})"},
    {R"({"workers": {"template": "none"}})", Judge::kBoth, "spec.workers.template", "object"},
    {R"({"managedBy": "kueue.x-k8s.io/multikueue", "checkpoint": {"path": ""}})"},
    // Fields of what the schema leaves alone are the pod's.
    {R"({"workers": {"template": {"spec": {"containers": null, "nodeName": 3}}}})"},
};

std::string NameOf(size_t row) { return "row-" + std::to_string(row); }

json JobOf(size_t row, const json& patch = json::object()) {
  json job = {{"apiVersion", "grapevine.dev/v1alpha1"},
              {"kind", "TrainingJob"},
              {"metadata", {{"name", NameOf(row)}}},
              {"spec", {{"training", {{"model", "mlp"}, {"dataset", {{"name", "digits"}}}}}}}};
  job["spec"].merge_patch(patch);
  return job;
}

std::vector<std::string> Split(const std::string& text, const std::string& start) {
  std::vector<std::string> parts;
  for (size_t at = text.find(start); at != std::string::npos;) {
    const size_t next = text.find(start, at + start.size());
    parts.push_back(text.substr(at, next - at));
    at = next;
  }
  return parts;
}

// Why the server refuses each job, empty where it takes it. They all go in one call of kubectl,
// which answers in their order but does not always name whom it means.
std::vector<std::string> Refusals(const std::vector<json>& jobs) {
  std::string documents;
  for (const json& job : jobs) documents += job.dump() + "\n---\n";
  const auto result = SharedControlPlane().Kubectl(
      {"create", "--dry-run=server", "--namespace=default"}, documents);
  const std::string text = result.ok() ? *result : std::string(result.status().message());
  std::vector<std::string> errors = Split(text, "Error from server (");
  if (errors.empty() && !result.ok()) errors = {text};  // one alone is told in another form
  auto error = errors.begin();
  std::vector<std::string> refusals;
  for (const json& job : jobs) {
    const std::string name = job["metadata"]["name"];
    const bool taken = text.find("/" + name + " created") != std::string::npos;
    if (!taken && error == errors.end()) {
      ADD_FAILURE() << "no answer for " << name << ":\n" << text;
      return std::vector<std::string>(jobs.size());
    }
    refusals.push_back(taken ? "" : *error++);
  }
  EXPECT_TRUE(error == errors.end()) << text;
  return refusals;
}

TEST(TrainingJobRulesTest, AreTheSameInTheSchemaAndInTheOperator) {
  std::vector<json> jobs;
  for (const Row& row : kRows) jobs.push_back(JobOf(jobs.size(), json::parse(row.patch)));
  const std::vector<std::string> refusals = Refusals(jobs);
  for (size_t i = 0; i < jobs.size(); ++i) {
    const Row& row = kRows[i];
    SCOPED_TRACE(row.patch);
    const std::string found = Describe(api::ParseTrainingJob(jobs[i]).violations);
    const bool by_server = row.refused_by != Judge::kNone;
    const bool by_operator = row.refused_by == Judge::kBoth;
    EXPECT_EQ(!refusals[i].empty(), by_server) << refusals[i];
    EXPECT_EQ(!found.empty(), by_operator) << found;
    if (by_server) {
      EXPECT_THAT(refusals[i], HasSubstr(row.field));
      EXPECT_THAT(refusals[i], HasSubstr(row.limit));
    }
    if (by_operator) {
      EXPECT_THAT(found, HasSubstr(row.field));
    }
  }
}

TEST(TrainingJobRulesTest, TakeNullForAFieldThatIsLeftOut) {
  json job = JobOf(0);
  job["spec"]["training"]["epochs"] = nullptr;
  job["spec"]["exchange"] = nullptr;
  job["spec"]["activeDeadlineSeconds"] = nullptr;
  EXPECT_EQ(Refusals({job}), std::vector<std::string>{""});
  EXPECT_EQ(Describe(api::ParseTrainingJob(job).violations), "");
}

TEST(TrainingJobRulesTest, KeepPodNamesHostNames) {
  json longest = JobOf(0);
  longest["metadata"]["name"] = std::string(50, 'a');
  json longer = JobOf(1);
  longer["metadata"]["name"] = std::string(51, 'b');
  json dotted = JobOf(2);
  dotted["metadata"]["name"] = "a.b";
  const std::vector<std::string> refusals = Refusals({longest, longer, dotted});
  EXPECT_EQ(refusals[0], "");
  EXPECT_THAT(refusals[1], HasSubstr("metadata.name must have at most 50 characters"));
  EXPECT_THAT(refusals[2],
              HasSubstr("metadata.name must be lower-case letters, digits and dashes"));
  EXPECT_EQ(Describe(api::ParseTrainingJob(longest).violations), "");
  EXPECT_THAT(Describe(api::ParseTrainingJob(longer).violations), HasSubstr("metadata.name"));
  EXPECT_THAT(Describe(api::ParseTrainingJob(dotted).violations), HasSubstr("metadata.name"));
}

TEST(TrainingJobRulesTest, LeaveTheSizeOfATemplateToTheOperator) {
  json job = JobOf(0);
  job["spec"]["workers"]["template"]["metadata"]["annotations"]["a"] = std::string(65 << 10, 'x');
  EXPECT_EQ(Refusals({job}), std::vector<std::string>{""});
  EXPECT_THAT(Describe(api::ParseTrainingJob(job).violations), HasSubstr("65536 bytes"));
}

}  // namespace
}  // namespace grapevine
