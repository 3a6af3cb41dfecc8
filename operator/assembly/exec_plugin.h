#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "operator/kube/kubeconfig.h"

namespace grapevine::assembly {

// Runs a credential plugin of a kubeconfig as a child process and returns what it printed; see
// kube::RunPlugin. NotFound when there is no such program, Internal when it fails,
// DeadlineExceeded after kube::kPluginLimit.
absl::StatusOr<std::string> RunExecPlugin(const kube::ExecPlugin& plugin, const std::string& info);

}  // namespace grapevine::assembly
