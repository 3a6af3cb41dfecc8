#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operator/api/communication_graph.h"
#include "operator/api/training_job.h"
#include "operator/topology/directives.h"
#include "operator/training_job/observe.h"

namespace grapevine::training_job {

struct PodToCreate {
  int32_t slot = 0;
  int32_t incarnation = 0;
};

struct PodToDelete {
  std::string name;
  std::string uid;  // precondition
  std::string reason;
  bool at_once = false;  // without a grace period: nobody is there to use it
};

struct JobEvent {
  bool warning = false;
  std::string reason;  // CamelCase
  std::string note;
};

// What to do, and why. Nothing in it has happened yet.
struct Decision {
  std::vector<PodToCreate> create;
  std::vector<PodToDelete> remove;
  topology::Directives directives;
  bool repair_graph = false;  // worth a look once this is published: Repair of operator/graph
  api::TrainingJobStatus status;
  std::vector<JobEvent> events;  // to be spoken once the status is written
  bool delete_job = false;       // ttlSecondsAfterFinished is over
  std::optional<Duration> requeue_after;
  std::string reason;  // one line for the log; empty when nothing changes
};

// What a job needs next. Pure: the same observation gives the same decision, also the graph, whose
// random choices come from a seed of the job's uid and the epoch. The policies are one file each:
// membership (operator/membership), elasticity, failure_policy, completion, upkeep.
Decision Decide(const Observed& observed);

}  // namespace grapevine::training_job
