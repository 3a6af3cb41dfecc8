#include "operator/api/training_job.h"

#include "operator/api/decimal.h"
#include "operator/api/labels.h"

namespace grapevine::api {
namespace {

using nlohmann::json;

json ToJson(const Dataset& dataset) {
  json result = {{"name", ToString(dataset.name)}};
  if (!dataset.path.empty()) result["path"] = dataset.path;
  if (dataset.name == DatasetName::kSynthetic) {
    result["shape"] = dataset.shape;
    result["classes"] = dataset.classes;
    result["samples"] = dataset.samples;
  }
  return result;
}

json ToJson(const LearningRateSchedule& schedule) {
  json milestones = json::array();
  for (double milestone : schedule.milestones) milestones.push_back(FormatDecimal(milestone));
  return {{"warmupEpochs", FormatDecimal(schedule.warmup_epochs)},
          {"milestones", std::move(milestones)},
          {"factor", FormatDecimal(schedule.factor)}};
}

json ToJson(const Training& training) {
  json result = {{"model", ToString(training.model)},
                 {"dataset", ToJson(training.dataset)},
                 {"epochs", training.epochs},
                 {"batchSize", training.batch_size},
                 {"learningRate", FormatDecimal(training.learning_rate)},
                 {"learningRateScaling", ToString(training.learning_rate_scaling)},
                 {"learningRateSchedule", ToJson(training.learning_rate_schedule)},
                 {"momentum", FormatDecimal(training.momentum)},
                 {"nesterov", training.nesterov},
                 {"weightDecay", FormatDecimal(training.weight_decay)},
                 {"precision", ToString(training.precision)},
                 {"seed", training.seed}};
  if (training.max_gradient_norm) {
    result["maxGradientNorm"] = FormatDecimal(*training.max_gradient_norm);
  }
  return result;
}

json ToJson(const Workers& workers) {
  return {{"replicas", workers.replicas},
          {"minReplicas", workers.min_replicas},
          {"maxReplicas", workers.max_replicas},
          {"removeFirst", workers.remove_first},
          {"template", workers.pod_template}};
}

json ToJson(const Condition& condition) {
  return {{"type", condition.type},
          {"status", condition.status},
          {"reason", condition.reason},
          {"message", condition.message},
          {"observedGeneration", condition.observed_generation},
          {"lastTransitionTime", condition.last_transition_time}};
}

// Null where there is no such member, so that reads of reads need no test.
const json& At(const json& object, const char* key) {
  static const json kNothing;
  if (!object.is_object()) return kNothing;
  const auto found = object.find(key);
  return found == object.end() ? kNothing : *found;
}

template <typename T>
void Take(const json& object, const char* key, T& value) {
  const json& found = At(object, key);
  if constexpr (std::is_same_v<T, std::string>) {
    if (found.is_string()) value = found.get<std::string>();
  } else if constexpr (std::is_same_v<T, double>) {
    if (found.is_string()) value = ParseDecimal(found.get<std::string>()).value_or(value);
  } else if constexpr (std::is_same_v<T, std::optional<double>>) {
    if (found.is_string()) value = ParseDecimal(found.get<std::string>());
  } else {
    if (found.is_number_integer()) value = found.get<T>();
  }
}

Condition ConditionFromJson(const json& object) {
  Condition result;
  Take(object, "type", result.type);
  Take(object, "status", result.status);
  Take(object, "reason", result.reason);
  Take(object, "message", result.message);
  Take(object, "observedGeneration", result.observed_generation);
  Take(object, "lastTransitionTime", result.last_transition_time);
  return result;
}

}  // namespace

const char* ToString(Algorithm value) {
  switch (value) {
    case Algorithm::kAdPsgd:
      return "ADPSGD";
    case Algorithm::kDPsgd:
      return "DPSGD";
    case Algorithm::kApSgd:
      return "APSGD";
    case Algorithm::kAllReduce:
      return "AllReduce";
  }
  return "";
}

const char* ToString(Model value) {
  switch (value) {
    case Model::kMlp:
      return "mlp";
    case Model::kLeNet5:
      return "lenet5";
    case Model::kResNet20:
      return "resnet20";
  }
  return "";
}

const char* ToString(DatasetName value) {
  switch (value) {
    case DatasetName::kDigits:
      return "digits";
    case DatasetName::kMnist:
      return "mnist";
    case DatasetName::kCifar10:
      return "cifar10";
    case DatasetName::kSynthetic:
      return "synthetic";
  }
  return "";
}

const char* ToString(Precision value) {
  return value == Precision::kFloat32 ? "Float32" : "BFloat16";
}

const char* ToString(LearningRateScaling value) {
  switch (value) {
    case LearningRateScaling::kLinear:
      return "Linear";
    case LearningRateScaling::kSqrt:
      return "Sqrt";
    case LearningRateScaling::kNone:
      return "None";
  }
  return "";
}

const char* ToString(Encoding value) {
  switch (value) {
    case Encoding::kFloat32:
      return "Float32";
    case Encoding::kBFloat16:
      return "BFloat16";
    case Encoding::kInt8:
      return "Int8";
  }
  return "";
}

const char* ToString(GraphPolicy value) {
  switch (value) {
    case GraphPolicy::kAuto:
      return "Auto";
    case GraphPolicy::kComplete:
      return "Complete";
    case GraphPolicy::kRandomRegular:
      return "RandomRegular";
    case GraphPolicy::kRing:
      return "Ring";
    case GraphPolicy::kExponential:
      return "Exponential";
  }
  return "";
}

SampleShape ShapeOf(const Dataset& dataset) {
  switch (dataset.name) {
    case DatasetName::kDigits:
      return {1, 8, 8};
    case DatasetName::kMnist:
      return {1, 28, 28};
    case DatasetName::kCifar10:
      return {3, 32, 32};
    case DatasetName::kSynthetic:
      break;
  }
  return dataset.shape;
}

int32_t ClassesOf(const Dataset& dataset) {
  return dataset.name == DatasetName::kSynthetic ? dataset.classes : 10;
}

std::optional<SampleShape> ShapeNeededBy(Model model) {
  switch (model) {
    case Model::kLeNet5:
      return SampleShape{1, 28, 28};
    case Model::kResNet20:
      return SampleShape{3, 32, 32};
    case Model::kMlp:
      break;
  }
  return std::nullopt;
}

json ToJson(const TrainingJobSpec& spec) {
  json result = {
      {"algorithm", ToString(spec.algorithm)},
      {"training", ToJson(spec.training)},
      {"exchange",
       {{"perStep", spec.exchange.per_step}, {"encoding", ToString(spec.exchange.encoding)}}},
      {"graph", {{"policy", ToString(spec.graph.policy)}, {"degree", spec.graph.degree}}},
      {"workers", ToJson(spec.workers)},
      {"checkpoint",
       {{"everySeconds", spec.checkpoint.every_seconds}, {"keep", spec.checkpoint.keep}}},
      {"failurePolicy", {{"maxRestarts", spec.failure_policy.max_restarts}}},
      {"suspend", spec.suspend}};
  if (!spec.checkpoint.path.empty()) result["checkpoint"]["path"] = spec.checkpoint.path;
  if (spec.active_deadline_seconds) {
    result["activeDeadlineSeconds"] = *spec.active_deadline_seconds;
  }
  if (spec.ttl_seconds_after_finished) {
    result["ttlSecondsAfterFinished"] = *spec.ttl_seconds_after_finished;
  }
  if (!spec.managed_by.empty()) result["managedBy"] = spec.managed_by;
  return result;
}

json ToJson(const TrainingJobStatus& status) {
  const WorkersStatus& workers = status.workers;
  const ProgressStatus& progress = status.progress;
  json result = {{"observedGeneration", status.observed_generation},
                 {"conditions", json::array()},
                 {"workers",
                  {{"desired", workers.desired},
                   {"active", workers.active},
                   {"members", workers.members},
                   {"disrupted", workers.disrupted},
                   {"restarts", workers.restarts},
                   {"selector", workers.selector}}},
                 {"progress",
                  {{"samples", progress.samples},
                   {"dataEpoch", progress.data_epoch},
                   {"percent", progress.percent},
                   {"samplesPerSecond", FormatDecimal(progress.samples_per_second)},
                   {"remainingSeconds", progress.remaining_seconds}}},
                 {"graph",
                  {{"epoch", status.graph.epoch},
                   {"members", status.graph.members},
                   {"edges", status.graph.edges},
                   {"spectralGap", FormatDecimal(status.graph.spectral_gap)}}}};
  for (const Condition& condition : status.conditions) {
    result["conditions"].push_back(ToJson(condition));
  }
  if (!status.start_time.empty()) result["startTime"] = status.start_time;
  if (!status.completion_time.empty()) result["completionTime"] = status.completion_time;
  if (status.result) {
    json& outcome = result["result"] = {{"samples", status.result->samples},
                                        {"checkpoint", status.result->checkpoint}};
    if (status.result->loss) outcome["loss"] = FormatDecimal(*status.result->loss);
    if (status.result->accuracy) outcome["accuracy"] = FormatDecimal(*status.result->accuracy);
  }
  return result;
}

json ToJson(const TrainingJob& job) {
  return {{"apiVersion", kApiVersion},
          {"kind", kTrainingJobKind},
          {"metadata", ToJson(job.metadata)},
          {"spec", ToJson(job.spec)},
          {"status", ToJson(job.status)}};
}

TrainingJobStatus StatusFromJson(const json& status) {
  TrainingJobStatus result;
  Take(status, "observedGeneration", result.observed_generation);
  Take(status, "startTime", result.start_time);
  Take(status, "completionTime", result.completion_time);
  const json& conditions = At(status, "conditions");
  if (conditions.is_array()) {
    for (const json& each : conditions) result.conditions.push_back(ConditionFromJson(each));
  }
  const json& workers = At(status, "workers");
  Take(workers, "desired", result.workers.desired);
  Take(workers, "active", result.workers.active);
  Take(workers, "members", result.workers.members);
  Take(workers, "disrupted", result.workers.disrupted);
  Take(workers, "restarts", result.workers.restarts);
  Take(workers, "selector", result.workers.selector);
  const json& progress = At(status, "progress");
  Take(progress, "samples", result.progress.samples);
  Take(progress, "dataEpoch", result.progress.data_epoch);
  Take(progress, "percent", result.progress.percent);
  Take(progress, "samplesPerSecond", result.progress.samples_per_second);
  Take(progress, "remainingSeconds", result.progress.remaining_seconds);
  const json& graph = At(status, "graph");
  Take(graph, "epoch", result.graph.epoch);
  Take(graph, "members", result.graph.members);
  Take(graph, "edges", result.graph.edges);
  Take(graph, "spectralGap", result.graph.spectral_gap);
  const json& outcome = At(status, "result");
  if (outcome.is_object()) {
    result.result.emplace();
    Take(outcome, "loss", result.result->loss);
    Take(outcome, "accuracy", result.result->accuracy);
    Take(outcome, "samples", result.result->samples);
    Take(outcome, "checkpoint", result.result->checkpoint);
  }
  return result;
}

}  // namespace grapevine::api
