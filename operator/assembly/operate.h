#pragma once

#include <signal.h>

#include <string>
#include <vector>

namespace grapevine::assembly {

// The command line of `grapevine operator`. Addresses are host:port.
struct OperateOptions {
  std::string kubeconfig;  // files, separated by colons; empty: $KUBECONFIG, in-cluster, ~/.kube
  std::string context;     // of the kubeconfig; empty: its current one
  std::vector<std::string> name_spaces;  // whose jobs; empty: all
  std::string topology = "0.0.0.0:7070";
  std::string topology_address;                   // by which pods reach it; empty: this pod's
  std::string worker_image = "grapevine-worker";  // of pods whose template names none
  std::string metrics = "0.0.0.0:8080";
  std::string health = "0.0.0.0:8081";
  bool leader_elect = true;
  std::string lease_name_space;  // empty: this pod's, or the kubeconfig's
  int threads = 4;               // that reconcile
};

// Runs the TrainingJobs of a cluster until one of `signals` or the loss of its lease. Returns the
// exit status: 0 after an end in order, 1 when it cannot go on, 2 for bad input. REQUIRES: the
// signals are blocked in every thread; a second one ends the process at once.
int Operate(const OperateOptions& options, const sigset_t& signals);

}  // namespace grapevine::assembly
