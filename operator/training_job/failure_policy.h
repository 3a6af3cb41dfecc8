#pragma once

#include <map>
#include <string>

#include "operator/training_job/observe.h"

namespace grapevine::training_job {

inline constexpr int kAlike = 4;  // so many may be no accident
inline constexpr Duration kShortLife = 60s;
inline constexpr Duration kLongestWait = 30s;

struct Failures {
  int32_t restarts = 0;   // pods that ended by themselves, so far
  int32_t disrupted = 0;  // pods that the cluster took, so far
  bool too_many = false;  // more than maxRestarts
  bool alike = false;     // all of them at once after their start, for one cause; nobody works
  std::string last;       // "digits-0-3, exit code 1: loss not finite"; empty when none is known
  std::map<int32_t, Duration> waits;  // by slot: before it gets another pod; absent: none
};

// Counts pods that ended by themselves while the job wanted them. Not counted: those that the
// operator deleted, those that the cluster took, and whoever ends after `finish`. Finished pods
// stay until the job ends, for their logs and as the memory of this count; it never falls, should
// the cluster clear them away.
//
// A slot gets its next pod at once, unless its last ones, two or more, each lived less than
// kShortLife: then after 1 s, twice as long each time, at most kLongestWait. Pods that the cluster
// takes or refuses as soon as they are made wait alike. Pure.
Failures JudgeFailures(const Observed& observed);

}  // namespace grapevine::training_job
