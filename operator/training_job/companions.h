#pragma once

#include <optional>

#include "absl/status/status.h"
#include "nlohmann/json.hpp"
#include "operator/api/training_job.h"
#include "operator/controller/api_client.h"

namespace grapevine::training_job {

extern const controller::Resource kDisruptionBudgets;
extern const controller::Resource kServices;

// What a job has on a cluster beside its pods. Owned by the job, named as it is, and gone with it.
struct Companions {
  // None while no pods are wanted: a budget that cannot be kept raises alarms.
  std::optional<nlohmann::json> disruption_budget;
  nlohmann::json service;

  bool operator==(const Companions&) const = default;
};

// How many pods must stay when a node is drained. Training survives any loss down to minReplicas;
// where all replicas are needed one may go nevertheless, as otherwise no node could ever be
// drained.
int32_t PodsThatStay(const api::Workers& workers);

// The budget, and a headless Service by which pods have names: <pod>.<job>.<namespace>.svc. `over`:
// the job has ended. Pure.
Companions MakeCompanions(const api::TrainingJob& job, bool over);

// Makes them, or the budget what it is to be, or takes it away. FailedPrecondition when a name is
// taken by someone else's object, which stays as it is; the other one is made all the same. At most
// three calls each.
absl::Status EnsureCompanions(controller::ApiClient& client, const api::TrainingJob& job,
                              const Companions& wanted);

}  // namespace grapevine::training_job
