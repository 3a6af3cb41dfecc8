#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "operator/api/training_job.h"
#include "operator/controller/api_client.h"
#include "operator/controller/object_store.h"
#include "operator/training_job/observe.h"

namespace grapevine::training_job {

// Pods that bear a job's label and that nobody controls: the job's own, whose owner reference was
// lost on the way through a backup, or somebody else's.

// Why it is not the job's; empty if it is. Pure.
std::string WhyNotOurs(const nlohmann::json& pod, const api::TrainingJob& job);

// Makes the job the controller of those of its namespace in `pods` that are its own, and reads them
// as they are then: none of them is missing meanwhile. It asks the server itself, whose word alone
// counts, before each.
Orphans AdoptOrphans(controller::ApiClient& client, const controller::ObjectStore& pods,
                     const api::TrainingJob& job);

}  // namespace grapevine::training_job
