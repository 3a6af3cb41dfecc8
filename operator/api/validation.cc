#include "operator/api/validation.h"

#include <algorithm>
#include <cctype>
#include <limits>
#include <utility>

#include "fmt/format.h"
#include "operator/api/decimal.h"
#include "operator/api/field_reader.h"
#include "operator/api/labels.h"
#include "operator/api/yaml.h"

namespace grapevine::api {
namespace {

using nlohmann::json;
using Violations = std::vector<Violation>;

constexpr size_t kMaxJobName = 50;  // so that pod names stay host names
constexpr size_t kMaxLabel = 63;
constexpr size_t kMaxSubdomain = 253;
constexpr size_t kMaxPath = 4096;
constexpr size_t kMaxTemplateBytes = 64 << 10;
constexpr size_t kMaxMilestones = 16;
constexpr size_t kMaxRemoveFirst = 1000;
constexpr int64_t kMaxEpochs = 100'000;
constexpr int64_t kMaxSeed = (int64_t{1} << 53) - 1;  // what every reader of JSON keeps exactly
constexpr int64_t kMaxSeconds = std::numeric_limits<int32_t>::max();

// RFC 1123: lower-case letters, digits and, not at an end, dashes.
bool IsDnsLabel(std::string_view text, size_t max_length) {
  const auto alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !text.empty() && text.size() <= max_length && alphanumeric(text.front()) &&
         alphanumeric(text.back()) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return alphanumeric(c) || c == '-'; });
}

bool IsDnsSubdomain(std::string_view text) {
  if (text.size() > kMaxSubdomain) return false;
  while (true) {
    const size_t dot = text.find('.');
    if (!IsDnsLabel(text.substr(0, dot), kMaxSubdomain)) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

std::string Describe(const SampleShape& shape) {
  return fmt::format("{}x{}x{}", shape[0], shape[1], shape[2]);
}

void ReadStringMap(FieldReader reader, const json& map) {
  if (!map.is_object()) return;
  for (const auto& [key, value] : map.items()) {
    if (!value.is_string()) reader.Report(key.c_str(), "a string");
  }
}

void ReadMetadata(FieldReader metadata) {
  const std::string allowed = fmt::format(
      "a name of at most {} lower-case letters, digits and dashes, with no dash at an end",
      kMaxJobName);
  if (metadata.Require("name", allowed)) {
    const json& raw = metadata.Raw("name");
    if (!raw.is_string() || !IsDnsLabel(raw.get_ref<const std::string&>(), kMaxJobName)) {
      metadata.Report("name", allowed);
    }
  }
  if (const json& raw = metadata.Raw("namespace"); !raw.is_null()) {
    if (!raw.is_string() || !IsDnsLabel(raw.get_ref<const std::string&>(), kMaxLabel)) {
      metadata.Report("namespace", fmt::format("a DNS label of at most {} characters", kMaxLabel));
    }
  }
  for (const char* server_own :
       {"uid", "resourceVersion", "generation", "generateName", "creationTimestamp",
        "deletionTimestamp", "deletionGracePeriodSeconds", "ownerReferences", "finalizers",
        "managedFields", "selfLink"}) {
    metadata.Raw(server_own);
  }
  for (const char* map : {"labels", "annotations"}) {
    ReadStringMap(metadata.Child(map), metadata.Raw(map));
  }
  metadata.Finish();
}

bool ReadShape(FieldReader& reader, SampleShape& shape) {
  const json& raw = reader.Raw("shape");
  if (raw.is_null()) return false;
  const auto in_range = [](const json& each) {
    return each.is_number_integer() && each >= 1 && each <= 1024;
  };
  if (!raw.is_array() || raw.size() != 3 || !std::all_of(raw.begin(), raw.end(), in_range)) {
    reader.Report("shape", "[channels, height, width], each an integer from 1 to 1024");
    return false;
  }
  shape = raw.get<SampleShape>();
  return true;
}

bool ReadDataset(FieldReader reader, Dataset& dataset) {
  bool right = reader.Require("name", "one of digits, mnist, cifar10, synthetic") &&
               reader.Enum("name", dataset.name,
                           {DatasetName::kDigits, DatasetName::kMnist, DatasetName::kCifar10,
                            DatasetName::kSynthetic});
  reader.String("path", dataset.path, kMaxPath);
  const bool shape_right = ReadShape(reader, dataset.shape) || !reader.Has("shape");
  reader.Integer("classes", dataset.classes, 2, 100'000);
  reader.Integer("samples", dataset.samples, 2, 1'000'000'000);
  if (right) {
    const bool in_files =
        dataset.name == DatasetName::kMnist || dataset.name == DatasetName::kCifar10;
    if (in_files && (!reader.Has("path") || reader.Raw("path") == "")) {
      reader.Report("path", fmt::format("the folder with the files of {}", ToString(dataset.name)));
    }
    if (!in_files && reader.Has("path")) {
      reader.Report("path", fmt::format("nothing: {} needs no files", ToString(dataset.name)));
    }
    for (const char* option : {"shape", "classes", "samples"}) {
      if (dataset.name != DatasetName::kSynthetic && reader.Has(option)) {
        reader.Report(option, "nothing: it is an option of synthetic alone");
      }
    }
  }
  reader.Finish();
  return right && shape_right;
}

void ReadSchedule(FieldReader reader, bool epochs_right, int32_t epochs,
                  LearningRateSchedule& schedule, Violations* violations) {
  constexpr DecimalBounds kPosition{.min = 0, .max = double{kMaxEpochs}};
  if (reader.Decimal("warmupEpochs", schedule.warmup_epochs, kPosition) && epochs_right &&
      schedule.warmup_epochs > epochs) {
    reader.Report("warmupEpochs", fmt::format("at most spec.training.epochs ({})", epochs));
  }
  const auto read_one = [&](const json& value, const std::string& path) {
    double milestone = 0;
    if (!ReadDecimal(value, path, kPosition, milestone, violations)) return;
    if (!schedule.milestones.empty() && milestone <= schedule.milestones.back()) {
      violations->push_back(
          {path, Found(value),
           fmt::format("more than the milestone before ({})", schedule.milestones.back())});
      return;
    }
    schedule.milestones.push_back(milestone);
  };
  reader.List("milestones", kMaxMilestones, read_one);
  reader.Decimal("factor", schedule.factor, {.min = 0, .max = 1, .above_min = true});
  reader.Finish();
}

void ReadTraining(FieldReader reader, Training& training, Violations* violations) {
  const bool model_right =
      reader.Require("model", "one of mlp, lenet5, resnet20") &&
      reader.Enum("model", training.model, {Model::kMlp, Model::kLeNet5, Model::kResNet20});
  bool dataset_right = false;
  if (reader.Require("dataset", "a mapping with the name of a dataset")) {
    dataset_right = ReadDataset(reader.Child("dataset"), training.dataset);
  }
  if (model_right && dataset_right) {
    const SampleShape shape = ShapeOf(training.dataset);
    const SampleShape needed = ShapeNeededBy(training.model).value_or(shape);
    if (needed != shape) {
      reader.Report("model", fmt::format("a model for samples of {}, which {} has; {} takes {}",
                                         Describe(shape), ToString(training.dataset.name),
                                         ToString(training.model), Describe(needed)));
    }
  }
  const bool epochs_right =
      reader.Integer("epochs", training.epochs, 1, kMaxEpochs) || !reader.Has("epochs");
  // A batch of one is dropped: normalisation has no variance to work with.
  reader.Integer("batchSize", training.batch_size, 2, 65'536);
  reader.Decimal("learningRate", training.learning_rate,
                 {.min = 0, .max = 1000, .above_min = true});
  reader.Enum(
      "learningRateScaling", training.learning_rate_scaling,
      {LearningRateScaling::kLinear, LearningRateScaling::kSqrt, LearningRateScaling::kNone});
  ReadSchedule(reader.Child("learningRateSchedule"), epochs_right, training.epochs,
               training.learning_rate_schedule, violations);
  reader.Decimal("momentum", training.momentum, {.min = 0, .max = 0.9999});
  reader.Boolean("nesterov", training.nesterov);
  reader.Decimal("weightDecay", training.weight_decay, {.min = 0, .max = 1});
  double norm = 0;
  if (reader.Decimal("maxGradientNorm", norm, {.min = 0, .max = 1e6, .above_min = true})) {
    training.max_gradient_norm = norm;
  }
  if (reader.Enum("precision", training.precision, {Precision::kFloat32, Precision::kBFloat16}) &&
      training.precision != Precision::kFloat32) {
    reader.Report("precision", "Float32; BFloat16 is not available yet");
  }
  reader.Integer("seed", training.seed, 0, kMaxSeed);
  reader.Finish();
}

void ReadWorkers(FieldReader reader, Workers& workers, Violations* violations) {
  const bool replicas_right =
      reader.Integer("replicas", workers.replicas, 1, kMaxReplicas) || !reader.Has("replicas");
  workers.max_replicas = workers.replicas;
  if (reader.Integer("minReplicas", workers.min_replicas, 1, kMaxReplicas) && replicas_right &&
      workers.min_replicas > workers.replicas) {
    reader.Report("minReplicas",
                  fmt::format("at most spec.workers.replicas ({})", workers.replicas));
  }
  if (reader.Integer("maxReplicas", workers.max_replicas, 1, kMaxReplicas) && replicas_right &&
      workers.max_replicas < workers.replicas) {
    reader.Report("maxReplicas",
                  fmt::format("at least spec.workers.replicas ({})", workers.replicas));
  }
  reader.List("removeFirst", kMaxRemoveFirst, [&](const json& value, const std::string& path) {
    if (!value.is_string() || !IsDnsSubdomain(value.get_ref<const std::string&>())) {
      violations->push_back({path, Found(value), "the name of a pod"});
      return;
    }
    workers.remove_first.push_back(value.get<std::string>());
  });
  if (reader.Has("template")) {
    const json& pod_template = reader.Raw("template");
    const auto replace = json::error_handler_t::replace;
    if (!pod_template.is_object() ||
        pod_template.dump(-1, ' ', false, replace).size() > kMaxTemplateBytes) {
      reader.Report("template",
                    fmt::format("a pod template of at most {} bytes", kMaxTemplateBytes));
    } else {
      workers.pod_template = pod_template;
    }
  }
  reader.Raw("template");
  reader.Finish();
}

void ReadCheckpoint(FieldReader reader, CheckpointSpec& checkpoint) {
  reader.String("path", checkpoint.path, kMaxPath);
  reader.Integer("everySeconds", checkpoint.every_seconds, 1, kMaxSeconds);
  reader.Integer("keep", checkpoint.keep, 1, 1000);
  reader.Finish();
}

void ReadExchangeAndGraph(FieldReader& spec, TrainingJobSpec& result) {
  FieldReader exchange = spec.Child("exchange");
  exchange.Integer("perStep", result.exchange.per_step, 0, 64);
  exchange.Enum("encoding", result.exchange.encoding,
                {Encoding::kFloat32, Encoding::kBFloat16, Encoding::kInt8});
  exchange.Finish();
  FieldReader graph = spec.Child("graph");
  graph.Enum("policy", result.graph.policy,
             {GraphPolicy::kAuto, GraphPolicy::kComplete, GraphPolicy::kRandomRegular,
              GraphPolicy::kRing, GraphPolicy::kExponential});
  graph.Integer("degree", result.graph.degree, 2, 64);
  graph.Finish();
}

void ReadSpec(FieldReader spec, TrainingJobSpec& result, Violations* violations) {
  if (spec.Enum(
          "algorithm", result.algorithm,
          {Algorithm::kAdPsgd, Algorithm::kDPsgd, Algorithm::kApSgd, Algorithm::kAllReduce}) &&
      result.algorithm != Algorithm::kAdPsgd) {
    spec.Report("algorithm",
                fmt::format("ADPSGD; {} is not available yet", ToString(result.algorithm)));
  }
  if (spec.Require("training", "a mapping with at least model and dataset")) {
    ReadTraining(spec.Child("training"), result.training, violations);
  }
  ReadExchangeAndGraph(spec, result);
  ReadWorkers(spec.Child("workers"), result.workers, violations);
  ReadCheckpoint(spec.Child("checkpoint"), result.checkpoint);
  FieldReader failure_policy = spec.Child("failurePolicy");
  failure_policy.Integer("maxRestarts", result.failure_policy.max_restarts, 0, 1'000'000);
  failure_policy.Finish();
  spec.Boolean("suspend", result.suspend);
  int64_t seconds = 0;
  if (spec.Integer("activeDeadlineSeconds", seconds, 1, kMaxSeconds)) {
    result.active_deadline_seconds = seconds;
  }
  if (spec.Integer("ttlSecondsAfterFinished", seconds, 0, kMaxSeconds)) {
    result.ttl_seconds_after_finished = seconds;
  }
  spec.String("managedBy", result.managed_by, kMaxSubdomain);
  spec.Finish();
}

void AddBadText(const json& value, const std::string& path, Violations* violations) {
  if (value.is_string() && !IsUtf8(value.get_ref<const std::string&>())) {
    violations->push_back({path, Found(value), "UTF-8 text"});
  }
  if (value.is_array()) {
    for (size_t i = 0; i < value.size(); ++i) {
      AddBadText(value[i], fmt::format("{}[{}]", path, i), violations);
    }
  }
  if (!value.is_object()) return;
  for (const auto& [name, child] : value.items()) {
    if (!IsUtf8(name)) {
      violations->push_back({path, fmt::format("the field {}", Found(name)), "a name in UTF-8"});
      continue;
    }
    AddBadText(child, path == "." ? name : fmt::format("{}.{}", path, name), violations);
  }
}

absl::Status ToStatus(const Violations& violations) {
  return violations.empty() ? absl::OkStatus() : absl::InvalidArgumentError(Describe(violations));
}

}  // namespace

ParsedTrainingJob ParseTrainingJob(const json& object) {
  ParsedTrainingJob result;
  Violations* const violations = &result.violations;
  if (!object.is_object()) {
    violations->push_back({".", Found(object), "a TrainingJob"});
    return result;
  }
  FieldReader top(object, "", violations);
  if (top.Raw("apiVersion") != kApiVersion) top.Report("apiVersion", kApiVersion);
  if (top.Raw("kind") != kTrainingJobKind) top.Report("kind", kTrainingJobKind);
  ReadMetadata(top.Child("metadata"));
  result.job.metadata = MetadataOf(object);
  if (top.Require("spec", "a mapping")) {
    ReadSpec(top.Child("spec"), result.job.spec, violations);
  }
  result.job.status = StatusFromJson(top.Raw("status"));
  top.Finish();
  return result;
}

absl::StatusOr<TrainingJob> TrainingJobFromJson(const json& object) {
  ParsedTrainingJob parsed = ParseTrainingJob(object);
  if (absl::Status status = ToStatus(parsed.violations); !status.ok()) return status;
  return std::move(parsed.job);
}

absl::StatusOr<TrainingJobSpec> TrainingJobSpecFromJson(const json& spec) {
  TrainingJobSpec result;
  Violations violations;
  ReadSpec(FieldReader(spec, "spec", &violations), result, &violations);
  if (absl::Status status = ToStatus(violations); !status.ok()) return status;
  return result;
}

Violations FindBadText(const json& object) {
  Violations violations;
  AddBadText(object, ".", &violations);
  return violations;
}

std::string Describe(const Violations& violations) {
  std::string result;
  for (const Violation& each : violations) {
    result += fmt::format("{}{}: found {}, allowed is {}", result.empty() ? "" : "\n", each.path,
                          each.found, each.allowed);
  }
  return result;
}

absl::Status ApplyOverride(json& object, std::string_view assignment) {
  const size_t equals = assignment.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return absl::InvalidArgumentError(
        fmt::format("\"{}\" is not of the form training.epochs=3", assignment));
  }
  absl::StatusOr<json> value = ParseYaml(assignment.substr(equals + 1));
  if (!value.ok()) {
    return absl::InvalidArgumentError(
        fmt::format("the value of \"{}\": {}", assignment, std::string(value.status().message())));
  }
  std::string walked = "spec";
  std::string rest = "spec." + std::string(assignment.substr(0, equals));
  if (!object.is_object()) return absl::InvalidArgumentError("the job is no mapping");
  json* at = &object;
  while (true) {
    const size_t dot = rest.find('.');
    const std::string key = rest.substr(0, dot);
    if (key.empty()) {
      return absl::InvalidArgumentError(
          fmt::format("\"{}\" has an empty name in its path", assignment));
    }
    at = &(*at)[key];
    if (dot == std::string::npos) break;
    rest.erase(0, dot + 1);
    if (at->is_null()) *at = json::object();
    if (!at->is_object()) {
      return absl::InvalidArgumentError(
          fmt::format("\"{}\": {} is {}, which has no fields", assignment, walked, Found(*at)));
    }
    walked += "." + rest.substr(0, rest.find('.'));
  }
  *at = *std::move(value);
  return absl::OkStatus();
}

}  // namespace grapevine::api
