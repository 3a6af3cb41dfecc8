#pragma once

#include <optional>

#include "operator/topology/directives.h"
#include "operator/training_job/observe.h"

namespace grapevine::training_job {

inline constexpr double kEvaluationShare = 0.05;  // of the job's compute, at most
inline constexpr Duration kSuspendLimit = 30s;    // for the checkpoint before the pods go

// What is done now and then while a job trains: an evaluation after each data epoch, by the members
// in turn and within kEvaluationShare, and a checkpoint every everySeconds. Fills directives;
// returns when to look again. Pure.
std::optional<Duration> Maintain(const Observed& observed, topology::Directives& directives);

// A suspended job's pods may go: its checkpoint is written, or cannot be. Otherwise asks for it.
bool ReadyToSuspend(const Observed& observed, topology::Directives& directives);

}  // namespace grapevine::training_job
