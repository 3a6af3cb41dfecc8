#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operator/topology/directives.h"
#include "operator/training_job/failure_policy.h"
#include "operator/training_job/observe.h"

namespace grapevine::training_job {

inline constexpr Duration kFinishLimit = 30s;  // for the models to meet
inline constexpr int32_t kMostFinalizeErrors = 3;
// For an evaluation, and for a finalize, which holds one: far above what either takes with the
// models that there are, so that nobody slow is passed over, and short enough to sit out one that
// hangs. See EvaluationLimit.
inline constexpr Duration kEvaluationLimit = 600s;
// For a checkpoint: a disk that needs longer for these sizes is of no use.
inline constexpr Duration kCheckpointLimit = 120s;

struct Ending {
  bool succeeded = false;
  std::string reason;  // of the condition
  std::string message;
};

// How the job has ended, if it has. Pure.
std::optional<Ending> JudgeEnding(const Observed& observed, const Failures& failures);

// The user asked for an end in order.
bool StopRequested(const Observed& observed);

// The steps of the end: finish once it is on record that the samples are used up (see
// topology/job_record.h) or the user asks for it; once the models have met, idle for all and
// finalize for one. Fills directives; returns when to look again.
// REQUIRES: not ended. Pure.
std::optional<Duration> WindUp(const Observed& observed, topology::Directives& directives);

// At least twice what the last one took: whoever did not answer in time counts as taking so long,
// so that the limit doubles each time, and a job whose evaluations are slow ends too.
Duration EvaluationLimit(const topology::Snapshot& hub);

// Who is asked, of those connected (ascending, not empty), instead of one that has not answered for
// `limit` though it reports: the next in turn. nullopt while there is time, or nobody else. Pure.
std::optional<MemberId> WhoInstead(const topology::Pending& pending, Duration limit,
                                   const std::vector<MemberId>& connected, Time now);

// The file for a checkpoint of now; empty when the job keeps none.
std::string CheckpointPath(const Observed& observed);

}  // namespace grapevine::training_job
