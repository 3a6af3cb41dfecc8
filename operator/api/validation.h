#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "operator/api/training_job.h"

namespace grapevine::api {

inline constexpr int64_t kMaxReplicas = 10'000;

struct Violation {
  std::string path;     // spec.training.epochs, spec.workers.removeFirst[2]
  std::string found;    // as JSON, shortened; "nothing" for a field that is missing
  std::string allowed;  // in words

  bool operator==(const Violation&) const = default;
};

struct ParsedTrainingJob {
  TrainingJob job;                    // what could be read; the rest has its defaults
  std::vector<Violation> violations;  // empty: `job` may be used
};

// Reads a whole TrainingJob object and checks it: fields that do not exist, types, ranges, fields
// that contradict each other. All that is wrong is reported at once, in the order of the fields, or
// the first hundred or so where there is more.
// The server's own metadata and the status are taken as they are.
ParsedTrainingJob ParseTrainingJob(const nlohmann::json& object);

// The same for a caller that has no use for a list: InvalidArgument with all violations, one a
// line.
absl::StatusOr<TrainingJob> TrainingJobFromJson(const nlohmann::json& object);

// The spec alone, as a worker gets it.
absl::StatusOr<TrainingJobSpec> TrainingJobSpecFromJson(const nlohmann::json& spec);

// Strings and names anywhere in `object` that are not UTF-8. An API server lets none in, so that
// ParseTrainingJob does not look; what comes from a command line or a path may have some.
std::vector<Violation> FindBadText(const nlohmann::json& object);

// One a line: "spec.training.epochs: found -1, allowed is an integer from 1 to 100000".
std::string Describe(const std::vector<Violation>& violations);

// Sets one field of a TrainingJob object that has not been parsed yet: "training.epochs=3" is a
// path below spec and a YAML value. InvalidArgument when it is not of that form or leads through
// something that is no mapping; whether such a field exists, and may have the value,
// ParseTrainingJob says.
absl::Status ApplyOverride(nlohmann::json& object, std::string_view assignment);

}  // namespace grapevine::api
