#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "operator/api/training_job.h"

namespace grapevine::console {

// What the command line says of the job beside its file.
struct JobFileOptions {
  std::string file;
  std::optional<int> workers;    // replicas; widens minReplicas and maxReplicas to include it
  std::string dataset_path;      // empty: as in the file
  std::vector<std::string> set;  // "training.epochs=3"; applied last
};

struct JobFile {
  nlohmann::json object;  // to be created in the API server
  api::TrainingJob job;   // the same, parsed
};

// Reads a TrainingJob from a YAML file as `grapevine run` takes it: paths become absolute, the
// namespace is "default" when none is named, checkpoints go to ./checkpoints unless the job says
// where, pods run the program `worker` unless their template has a command, and what limits the
// job's life beside the run (ownerReferences, ttlSecondsAfterFinished) is left out.
// InvalidArgument lists all that is wrong, NotFound a file that is not there.
absl::StatusOr<JobFile> LoadJobFile(const JobFileOptions& options, const std::string& worker);

}  // namespace grapevine::console
