#pragma once

#include <string>

#include "operator/training_job/observe.h"

namespace grapevine::training_job {

inline constexpr int kAlike = 4;  // so many may be no accident

struct Failures {
  int32_t restarts = 0;   // pods that ended by themselves, so far
  int32_t disrupted = 0;  // pods that the cluster took, so far
  bool too_many = false;  // more than maxRestarts
  bool alike = false;     // all of them at once after their start, for one cause; nobody works
  std::string last;       // "digits-0-3, exit code 1: loss not finite"; empty when none is known
  Duration wait{};        // before another pod is made: pods fail one after another
};

// Counts pods that ended by themselves while the job wanted them. Not counted: those that the
// operator deleted, those with DisruptionTarget, and whoever ends after `finish`. Finished pods
// stay until the job ends, for their logs and as the memory of this count; it never falls, should
// the cluster clear them away. Pure.
Failures JudgeFailures(const Observed& observed);

}  // namespace grapevine::training_job
