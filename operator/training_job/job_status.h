#pragma once

#include <optional>
#include <vector>

#include "operator/training_job/completion.h"
#include "operator/training_job/decide.h"

namespace grapevine::training_job {

// What the decision makes of the job, for its status.
struct Standing {
  size_t members = 0;  // once the decision is carried out
  size_t edges = 0;
  uint64_t epoch = 0;
  bool returning = false;  // members of an earlier leader are awaited
  bool suspended = false;
  std::optional<Ending> ending;
  Failures failures;
};

// Fills decision.status from the old one and what is known now, and the events of the conditions
// that became true. Pure.
void FillStatus(const Observed& observed, const Standing& standing, Decision& decision);

// Of a job that is over: its pods are fewer and fewer. Pure.
void CountPods(const Observed& observed, api::WorkersStatus& workers);

// Of a job whose spec cannot be used: Failed, InvalidSpec, with all violations (at most kMaxMessage
// bytes of them). Returns the event of it. Pure.
JobEvent FailAsInvalid(std::string violations, int64_t generation, api::WallTime now,
                       api::TrainingJobStatus& status);

inline constexpr size_t kMaxMessage = 4096;  // of a condition; the API takes eight times that

bool IsOver(const api::TrainingJobStatus& status);  // Succeeded or Failed, which are final

}  // namespace grapevine::training_job
