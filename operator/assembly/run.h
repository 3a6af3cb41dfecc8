#pragma once

#include <signal.h>

#include <string>

#include "operator/console/job_file.h"

namespace grapevine::assembly {

// The command line of `grapevine run`; the README says what each means.
struct RunOptions {
  console::JobFileOptions job;
  std::string events;
  std::string report;  // empty: none
  std::string resume;  // uid; empty: a new job
  std::string metrics = "127.0.0.1:0";
};

inline constexpr int kBadInput = 2;  // the exit status for it

// Trains the job on this machine, its workers as processes, and shows it until it is over. Returns
// the exit status. REQUIRES: `signals` are blocked in every thread: the first of them ends the job
// in order, a second one at once.
int Run(const RunOptions& options, const sigset_t& signals);

}  // namespace grapevine::assembly
