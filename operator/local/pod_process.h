#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "operator/api/object_meta.h"
#include "operator/local/child_process.h"

namespace grapevine::local {

// A pod as a process: pure functions between the two. A pod is its first container here; images,
// volumes, ports, probes and limits mean nothing.

// `inherited` is the environment (NAME=value) below the container's own. Of valueFrom, fieldRef to
// metadata.{name,namespace,uid}, labels and annotations, and status.podIP work; anything else is
// InvalidArgument, as is a pod without a command.
absl::StatusOr<Command> CommandOf(const nlohmann::json& pod,
                                  const std::vector<std::string>& inherited);

// The pod's status while the process runs, after it has exited, and when it never started.
nlohmann::json RunningStatus(const nlohmann::json& pod, api::WallTime started);
// `last_output`: the end of what it wrote, which becomes its termination message where the
// container's terminationMessagePolicy says so and it failed.
nlohmann::json ExitedStatus(const nlohmann::json& pod, const ExitStatus& exit,
                            const std::string& last_output, api::WallTime finished);
nlohmann::json NotStartedStatus(const nlohmann::json& pod, const absl::Status& why,
                                api::WallTime now);

}  // namespace grapevine::local
