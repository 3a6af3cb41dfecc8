#pragma once

#include <signal.h>

#include <string>

namespace grapevine::assembly {

// The command line of `grapevine wait`.
struct WaitOptions {
  std::string job;
  std::string kubeconfig;  // as of `grapevine operator`
  std::string context;
  std::string name_space;  // the job's; empty: the pod's, or the kubeconfig's
  int seconds = 600;       // that it may take
};

// Waits until a job of a cluster is over and says how it fares meanwhile. Returns the exit status:
// 0 when it has Succeeded; 1 when it has Failed, is not there, or is not over in time; 2 for bad
// input; 130 after one of `signals`. REQUIRES: they are blocked in every thread.
int Wait(const WaitOptions& options, const sigset_t& signals);

}  // namespace grapevine::assembly
