#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"
#include "operator/api/object_meta.h"

namespace grapevine::api {

// The TrainingJob resource. The initial values below are the defaults, and stand nowhere else. What
// a user wrote becomes one of these through ParseTrainingJob of validation.h alone, which knows the
// bounds.

enum class Algorithm { kAdPsgd, kDPsgd, kApSgd, kAllReduce };
enum class Model { kMlp, kLeNet5, kResNet20 };
enum class DatasetName { kDigits, kMnist, kCifar10, kSynthetic };
enum class Precision { kFloat32, kBFloat16 };
enum class LearningRateScaling { kLinear, kSqrt, kNone };
enum class Encoding { kFloat32, kBFloat16, kInt8 };
enum class GraphPolicy { kAuto, kComplete, kRandomRegular, kRing, kExponential };

// As in the resource: "ADPSGD", "lenet5", "Float32".
const char* ToString(Algorithm value);
const char* ToString(Model value);
const char* ToString(DatasetName value);
const char* ToString(Precision value);
const char* ToString(LearningRateScaling value);
const char* ToString(Encoding value);
const char* ToString(GraphPolicy value);

// Channels, height, width of one sample.
using SampleShape = std::array<int32_t, 3>;

struct Dataset {
  DatasetName name = DatasetName::kDigits;
  std::string path;  // folder with the files of mnist or cifar10; empty for the other two

  // Of `synthetic` alone.
  SampleShape shape = {1, 8, 8};
  int32_t classes = 10;
  int32_t samples = 10'000;  // in the training set

  bool operator==(const Dataset&) const = default;
};

// Of one sample of `dataset`, whichever it is.
SampleShape ShapeOf(const Dataset& dataset);
int32_t ClassesOf(const Dataset& dataset);
// The shape that a model is made for; nullopt for one that takes any.
std::optional<SampleShape> ShapeNeededBy(Model model);

// Positions are data epochs and may have a fraction. The rate rises linearly over the first
// `warmup_epochs` and is multiplied by `factor` at each milestone.
struct LearningRateSchedule {
  double warmup_epochs = 0;
  std::vector<double> milestones;  // ascending
  double factor = 0.1;

  bool operator==(const LearningRateSchedule&) const = default;
};

struct Training {
  Model model = Model::kMlp;
  Dataset dataset;
  int32_t epochs = 1;            // passes over the data, by all members together
  int32_t batch_size = 32;       // of one member
  double learning_rate = 0.025;  // for the batch of one member
  LearningRateScaling learning_rate_scaling = LearningRateScaling::kLinear;  // with the roster
  LearningRateSchedule learning_rate_schedule;
  double momentum = 0.9;
  bool nesterov = true;
  double weight_decay = 0.0001;
  std::optional<double> max_gradient_norm;  // a longer gradient is shortened to it
  Precision precision = Precision::kFloat32;
  int64_t seed = 1;

  bool operator==(const Training&) const = default;
};

struct ExchangeSpec {
  int32_t per_step =
      1;  // exchanges that an active member owes per own step; 0: none while training
  Encoding encoding = Encoding::kFloat32;

  bool operator==(const ExchangeSpec&) const = default;
};

struct GraphSpec {
  GraphPolicy policy = GraphPolicy::kAuto;
  int32_t degree = 8;  // of RandomRegular

  bool operator==(const GraphSpec&) const = default;
};

struct Workers {
  int32_t replicas = 1;
  int32_t min_replicas = 1;                                // below it the job waits, Degraded
  int32_t max_replicas = 1;                                // when left out: replicas
  std::vector<std::string> remove_first;                   // pod names to prefer when scaling in
  nlohmann::json pod_template = nlohmann::json::object();  // an ordinary pod template

  bool operator==(const Workers&) const = default;
};

struct CheckpointSpec {
  std::string path;  // empty: no checkpoints
  int32_t every_seconds = 300;
  int32_t keep = 3;

  bool operator==(const CheckpointSpec&) const = default;
};

struct FailurePolicy {
  int32_t max_restarts = 10;  // failures alone; disruptions and scale-in do not count

  bool operator==(const FailurePolicy&) const = default;
};

struct TrainingJobSpec {
  Algorithm algorithm = Algorithm::kAdPsgd;
  Training training;
  ExchangeSpec exchange;
  GraphSpec graph;
  Workers workers;
  CheckpointSpec checkpoint;
  FailurePolicy failure_policy;
  bool suspend = false;
  std::optional<int64_t> active_deadline_seconds;
  std::optional<int64_t> ttl_seconds_after_finished;
  std::string managed_by;  // empty: this operator

  bool operator==(const TrainingJobSpec&) const = default;
};

// Types of the job's conditions. All are there from the first write on, in this order: whoever
// lists jobs shows the first one that is true.
inline constexpr char kFailed[] = "Failed";        // final
inline constexpr char kSucceeded[] = "Succeeded";  // final
inline constexpr char kSuspended[] = "Suspended";
inline constexpr char kDegraded[] = "Degraded";
inline constexpr char kRunning[] = "Running";
inline constexpr char kInitialized[] = "Initialized";  // has had pods; stays

// Reason of Running, Succeeded and an event: the loss is no better than that of guessing.
inline constexpr char kNotLearning[] = "NotLearning";

struct WorkersStatus {
  int32_t desired = 0;
  int32_t active = 0;  // pods neither finished nor being deleted
  int32_t members = 0;
  int32_t disrupted = 0;  // pods that the cluster took, so far
  int32_t restarts = 0;   // pods that failed and were replaced, so far
  std::string selector;   // for the scale subresource

  bool operator==(const WorkersStatus&) const = default;
};

struct ProgressStatus {
  int64_t samples = 0;
  int64_t data_epoch = 0;
  int32_t percent = 0;
  double samples_per_second = 0;
  int64_t remaining_seconds = 0;

  bool operator==(const ProgressStatus&) const = default;
};

struct GraphStatus {
  uint64_t epoch = 0;
  int32_t members = 0;
  int32_t edges = 0;
  double spectral_gap = 0;

  bool operator==(const GraphStatus&) const = default;
};

struct ResultStatus {
  std::optional<double> loss;      // nullopt: no finite number
  std::optional<double> accuracy;  // a fraction
  int64_t samples = 0;             // of the test set, that both are taken over
  std::string checkpoint;          // path of the final one; empty for none

  bool operator==(const ResultStatus&) const = default;
};

struct TrainingJobStatus {
  int64_t observed_generation = 0;
  std::string start_time;  // RFC 3339; empty until then
  std::string completion_time;
  std::vector<Condition> conditions;
  WorkersStatus workers;
  ProgressStatus progress;
  GraphStatus graph;
  std::optional<ResultStatus> result;

  bool operator==(const TrainingJobStatus&) const = default;
};

struct TrainingJob {
  ObjectMeta metadata;
  TrainingJobSpec spec;
  TrainingJobStatus status;

  bool operator==(const TrainingJob&) const = default;
};

// Every field is written, defaults too. Numbers with a fraction become decimal strings, which read
// back as the same number.
nlohmann::json ToJson(const TrainingJobSpec& spec);
nlohmann::json ToJson(const TrainingJobStatus& status);
nlohmann::json ToJson(const TrainingJob& job);

// Status is what an operator wrote: a field of another type is left at its default.
TrainingJobStatus StatusFromJson(const nlohmann::json& status);

}  // namespace grapevine::api
