#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace grapevine::cluster {

// Runs a program, found in PATH, to its end with this process's environment and `environment`
// (NAME=value) on top. What it wrote to standard output and error; Internal, with that text, when
// its exit status is not 0, DeadlineExceeded when it takes longer than a minute.
absl::StatusOr<std::string> RunProgram(const std::vector<std::string>& arguments,
                                       const std::vector<std::string>& environment = {});

// This process's environment, with `changed` in place of variables of the same names.
std::vector<std::string> EnvironmentWith(const std::vector<std::string>& changed);

}  // namespace grapevine::cluster
