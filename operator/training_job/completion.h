#pragma once

#include <optional>
#include <string>

#include "operator/topology/directives.h"
#include "operator/training_job/failure_policy.h"
#include "operator/training_job/observe.h"

namespace grapevine::training_job {

inline constexpr Duration kFinishLimit = 30s;  // for the models to meet
inline constexpr int32_t kMostFinalizeErrors = 3;

struct Ending {
  bool succeeded = false;
  std::string reason;  // of the condition
  std::string message;
};

// How the job has ended, if it has. Pure.
std::optional<Ending> JudgeEnding(const Observed& observed, const Failures& failures);

// The user asked for an end in order.
bool StopRequested(const Observed& observed);

// The steps of the end: finish once the samples are used up or the user asks for it, then finalize
// at one member once the models have met. Fills directives; returns when to look again. REQUIRES:
// not ended. Pure.
std::optional<Duration> WindUp(const Observed& observed, topology::Directives& directives);

// The file for a checkpoint of now; empty when the job keeps none.
std::string CheckpointPath(const Observed& observed);

}  // namespace grapevine::training_job
