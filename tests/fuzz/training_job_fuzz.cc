#include <iterator>

#include "operator/api/field_reader.h"
#include "operator/api/validation.h"
#include "operator/api/yaml.h"
#include "operator/training_job/companions.h"
#include "operator/training_job/elasticity.h"
#include "operator/training_job/worker_pod.h"
#include "tests/fuzz/mutator.h"
#include "tests/fuzz/require.h"
#include "tests/fuzz/targets.h"

namespace grapevine::fuzz {
namespace {

using nlohmann::json;

constexpr size_t kLongestError = 100'000;

constexpr std::string_view kTokens[] = {
    "ADPSGD",      "AllReduce",    "mlp",        "lenet5",       "mnist",       "synthetic",
    "dataset",     "shape",        "classes",    "samples",      "Linear",      "BFloat16",
    "milestones",  "warmupEpochs", "workers",    "minReplicas",  "maxReplicas", "removeFirst",
    "template",    "spec",         "containers", "env",          "metadata",    "labels",
    "annotations", "tolerations",  "checkpoint", "everySeconds", "suspend",     "status",
    "conditions",  "result",       "a-0-0",      "1e-400",       "1e400",       "0.9999999999",
    "+1",          "-0",           "0x10",       "&x ",          "*x",          "- "};

constexpr std::string_view kSeed =
    R"({"apiVersion": "grapevine.dev/v1alpha1", "kind": "TrainingJob",
"metadata": {"name": "cifar10", "namespace": "n", "uid": "u", "resourceVersion": "7",
  "generation": 3, "creationTimestamp": "2024-05-01T09:30:00Z",
  "labels": {"kueue.x-k8s.io/queue-name": "q"},
  "annotations": {"grapevine.dev/stop-requested": "false"}, "finalizers": []},
"spec": {"algorithm": "ADPSGD",
  "training": {"model": "mlp", "dataset": {"name": "synthetic", "shape": [3, 8, 8], "classes": 5,
      "samples": 1000}, "epochs": 30, "batchSize": 32, "learningRate": "0.025",
    "learningRateScaling": "Sqrt", "learningRateSchedule": {"warmupEpochs": 2,
      "milestones": [15, "25.5"], "factor": "0.1"}, "momentum": "0.9", "nesterov": false,
    "weightDecay": "0.0001", "maxGradientNorm": 5, "precision": "Float32", "seed": 1},
  "exchange": {"perStep": 1, "encoding": "Int8"}, "graph": {"policy": "Ring", "degree": 8},
  "workers": {"replicas": 4, "minReplicas": 2, "maxReplicas": 8, "removeFirst": ["a-0-0"],
    "template": {"metadata": {"labels": {"a": "b"}, "annotations": {}},
      "spec": {"containers": [{"name": "w", "image": "i", "env": [{"name": "A", "value": "b"}]}],
        "tolerations": [{"operator": "Exists", "tolerationSeconds": 5}]}}},
  "checkpoint": {"path": "/c", "everySeconds": 300, "keep": 3},
  "failurePolicy": {"maxRestarts": 10},
  "suspend": false, "activeDeadlineSeconds": 9000, "ttlSecondsAfterFinished": 0, "managedBy": ""},
"status": {"observedGeneration": 2, "startTime": "2024-05-01T09:30:00Z",
  "completionTime": "2024-05-01T10:30:00Z", "conditions": [{"type": "Running", "status": "True",
    "reason": "r", "message": "m", "observedGeneration": 2,
    "lastTransitionTime": "2024-05-01T09:30:00Z"}],
  "workers": {"desired": 4, "active": 4, "members": 4, "disrupted": 1, "restarts": 2,
    "selector": "a=b"},
  "progress": {"samples": 5, "dataEpoch": 1, "percent": 2, "samplesPerSecond": "0.1",
    "remainingSeconds": 7},
  "graph": {"epoch": 5, "members": 4, "edges": 4, "spectralGap": "0.5"},
  "result": {"loss": "0.1", "accuracy": "0.9", "samples": 10, "checkpoint": "/c/x"}}})";

// What the reconciler makes of any job that it takes.
void Use(const api::TrainingJob& job) {
  using namespace training_job;
  for (const bool pod_network : {false, true}) {
    const json pod =
        MakeWorkerPod(job, {.slot = 1, .incarnation = 2},
                      {.hub_address = "h:1", .image = "i", .pod_network = pod_network});
    static_cast<void>(pod.dump());
    Require(pod["metadata"]["name"] == job.metadata.name + "-1-2", "a pod of another name");
    Require(pod["spec"]["containers"][0].is_object(), "a pod without a worker");
    const auto read = ReadWorkerPod(pod, job.metadata.uid);
    Require(read && read->slot == 1 && read->incarnation == 2, "it does not know its own pod");
    Require(read->template_hash == TemplateHash(job.spec), "it would renew its own pod");
  }
  static_cast<void>(MakeCompanions(job, false).service.dump());
  Observed observed{.job = job, .now = Time(1000s), .wall = api::WallTime(1'700'000'000s)};
  observed.hub.graph = std::make_shared<const graph::Graph>();
  for (int round = 0; round < 2; ++round) {
    const Decision decision = Decide(observed);
    Require(decision.create.size() <= static_cast<size_t>(job.spec.workers.replicas), "too many");
    static_cast<void>(api::ToJson(decision.status).dump());
    observed.job.status = decision.status;
  }
}

}  // namespace

void FuzzTrainingJob(std::string_view input) {
  json object = json::parse(input, nullptr, /*allow_exceptions=*/false);
  if (object.is_discarded()) {
    const absl::StatusOr<json> read = api::ParseYaml(input);
    if (!read.ok()) return;
    object = *read;
  }
  const api::ParsedTrainingJob parsed = api::ParseTrainingJob(object);
  if (!parsed.violations.empty()) {
    const std::string text = api::Describe(parsed.violations);
    Require(api::IsUtf8(text), "violations that are no text");
    Require(text.size() < kLongestError, "endless violations");
    return;
  }
  const json written = api::ToJson(parsed.job);
  const absl::StatusOr<api::TrainingJob> again =
      api::TrainingJobFromJson(json::parse(written.dump()));
  Require(again.ok(), "what it wrote it does not read: " + again.status().ToString());
  Require(*again == parsed.job, "what it wrote it reads as another job");
  const auto spec = api::TrainingJobSpecFromJson(api::ToJson(parsed.job.spec));
  Require(spec.ok() && *spec == parsed.job.spec, "a worker reads another spec");
  Use(parsed.job);
}

std::string MakeTrainingJob(uint64_t number) {
  Mutator mutator(number, kTokens);
  json job = json::parse(kSeed);
  if (number == 0) return job.dump();
  // Most changes are refused; those of template and status mostly are not, and lead further.
  switch (mutator.Below(4)) {
    case 0:
      job = mutator.Json(job);
      break;
    case 1:
      job["spec"]["training"] = mutator.Json(job["spec"]["training"]);
      break;
    case 2:
      job["spec"]["workers"]["template"] = mutator.Json(job["spec"]["workers"]["template"]);
      break;
    case 3:
      job["status"] = mutator.Json(job["status"]);
      break;
  }
  const std::string text = job.dump(mutator.OneIn(2) ? 1 : -1);
  return mutator.OneIn(4) ? mutator.Bytes(text, kSeed) : text;
}

}  // namespace grapevine::fuzz
