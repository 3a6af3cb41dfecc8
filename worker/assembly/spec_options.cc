#include "worker/assembly/spec_options.h"

#include "nlohmann/json.hpp"
#include "operator/api/validation.h"

namespace grapevine::assembly {
namespace {

gossip::Encoding WireEncoding(api::Encoding encoding) {
  switch (encoding) {
    case api::Encoding::kFloat32:
      return gossip::Encoding::kFloat32;
    case api::Encoding::kBFloat16:
      return gossip::Encoding::kBFloat16;
    case api::Encoding::kInt8:
      return gossip::Encoding::kInt8;
  }
  return gossip::Encoding::kFloat32;
}

optimizer::Scaling ScalingOf(api::LearningRateScaling scaling) {
  switch (scaling) {
    case api::LearningRateScaling::kLinear:
      return optimizer::Scaling::kLinear;
    case api::LearningRateScaling::kSqrt:
      return optimizer::Scaling::kSqrt;
    case api::LearningRateScaling::kNone:
      return optimizer::Scaling::kNone;
  }
  return optimizer::Scaling::kLinear;
}

}  // namespace

absl::StatusOr<api::TrainingJobSpec> ParseSpec(const std::string& spec_json) {
  return api::TrainingJobSpecFromJson(nlohmann::json::parse(spec_json, nullptr, false));
}

dataset::Source SourceOf(const api::Dataset& spec) {
  return {.name = api::ToString(spec.name),
          .path = spec.path,
          .shape = {spec.shape[0], spec.shape[1], spec.shape[2]},
          .classes = spec.classes,
          .samples = spec.samples};
}

train::TrainerOptions TrainerOptionsOf(const api::Training& training) {
  const api::LearningRateSchedule& schedule = training.learning_rate_schedule;
  return {.batch_size = training.batch_size,
          .seed = static_cast<uint64_t>(training.seed),
          .sgd = {.momentum = static_cast<float>(training.momentum),
                  .weight_decay = static_cast<float>(training.weight_decay),
                  .nesterov = training.nesterov},
          .schedule = {.learning_rate = training.learning_rate,
                       .scaling = ScalingOf(training.learning_rate_scaling),
                       .warmup_data_epochs = schedule.warmup_epochs,
                       .milestones = schedule.milestones,
                       .factor = schedule.factor},
          .max_gradient_norm = training.max_gradient_norm};
}

gossip::ExchangePolicy ExchangePolicyOf(const api::ExchangeSpec& exchange) {
  return {.per_step = static_cast<double>(exchange.per_step),
          .encoding = WireEncoding(exchange.encoding)};
}

}  // namespace grapevine::assembly
