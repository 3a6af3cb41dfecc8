#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace grapevine::assembly {

// What the environment says; the names stand here alone and in operator/training_job/worker_pod.
struct Environment {
  std::string hub;         // GRAPEVINE_HUB, host:port
  std::string name_space;  // GRAPEVINE_NAMESPACE
  std::string job;         // GRAPEVINE_JOB
  std::string pod;         // GRAPEVINE_POD
  std::string pod_uid;     // GRAPEVINE_POD_UID
  std::string listen;      // GRAPEVINE_LISTEN, for peers; default 127.0.0.1:0
  std::string advertise;   // GRAPEVINE_ADVERTISE, host that peers dial; default that of listen
  std::string metrics;     // GRAPEVINE_METRICS, host:port; default 127.0.0.1:0
  int threads = 1;         // GRAPEVINE_THREADS, of the compute backend
};

// InvalidArgument names every variable that is missing or wrong, and what is allowed.
absl::StatusOr<Environment> ReadEnvironment();

}  // namespace grapevine::assembly
