#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "operator/api/training_job.h"
#include "worker/dataset/dataset.h"
#include "worker/gossip/exchange_policy.h"
#include "worker/train/trainer.h"

namespace grapevine::assembly {

// Of Assign and SpecChanged. InvalidArgument with all violations.
absl::StatusOr<api::TrainingJobSpec> ParseSpec(const std::string& spec_json);

// What a job's spec asks of each part, in that part's own words.
dataset::Source SourceOf(const api::Dataset& spec);
train::TrainerOptions TrainerOptionsOf(const api::Training& training);
gossip::ExchangePolicy ExchangePolicyOf(const api::ExchangeSpec& exchange);

}  // namespace grapevine::assembly
