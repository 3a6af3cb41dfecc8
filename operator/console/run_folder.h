#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace grapevine::console {

// The folder of one run, <checkpoint path>/<uid>: its checkpoints, which the workers write, and its
// logs. A run without checkpoints has one in the system's folder for temporary files.

// A new uid or, where `resume` is not empty, that one. InvalidArgument unless the run of that uid
// has left a checkpoint in `checkpoints`.
absl::StatusOr<std::string> ChooseUid(const std::string& resume, const std::string& checkpoints);

// Makes the folder for the logs and returns its path. InvalidArgument when it cannot be made.
absl::StatusOr<std::string> MakeLogFolder(const std::string& checkpoints, const std::string& uid);

// Of the run whose logs are there.
bool HasCheckpoint(const std::string& log_folder);

}  // namespace grapevine::console
