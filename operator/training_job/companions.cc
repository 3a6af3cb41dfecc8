#include "operator/training_job/companions.h"

#include <algorithm>

#include "fmt/format.h"
#include "operator/api/labels.h"
#include "operator/controller/object_store.h"
#include "operator/training_job/worker_pod.h"

namespace grapevine::training_job {
namespace {

using nlohmann::json;

json Companion(const api::TrainingJob& job, const char* api_version, const char* kind) {
  return {{"apiVersion", api_version},
          {"kind", kind},
          {"metadata",
           {{"name", job.metadata.name},
            {"namespace", job.metadata.name_space},
            {"labels", {{api::kJobNameLabel, job.metadata.name}}},
            {"ownerReferences", json::array({OwnerReference(job)})}}}};
}

absl::Status Taken(const controller::Resource& resource, const std::string& name) {
  return absl::FailedPreconditionError(
      fmt::format("there is one named {} in {} that is not this job's", name, resource.plural));
}

// There afterwards and the job's, with the spec of `object` where `update`.
absl::Status Ensure(controller::ApiClient& client, const api::TrainingJob& job,
                    const controller::Resource& resource, const json& object, bool update) {
  const absl::Status created = client.Create(resource, object).status();
  if (!absl::IsAlreadyExists(created)) return created;
  const auto found = client.Get(resource, job.metadata.name_space, job.metadata.name);
  if (!found.ok()) return found.status();
  if (controller::ControllerUidOf(*found) != job.metadata.uid) {
    return Taken(resource, job.metadata.name);
  }
  if (!update) return absl::OkStatus();
  const json patch = {{"metadata", {{"uid", controller::UidOf(*found)}}},
                      {"spec", object.at("spec")}};
  return client.Patch(resource, job.metadata.name_space, job.metadata.name, patch).status();
}

absl::Status Remove(controller::ApiClient& client, const api::TrainingJob& job,
                    const controller::Resource& resource) {
  const auto found = client.Get(resource, job.metadata.name_space, job.metadata.name);
  if (absl::IsNotFound(found.status())) return absl::OkStatus();
  if (!found.ok()) return found.status();
  if (controller::ControllerUidOf(*found) != job.metadata.uid) return absl::OkStatus();
  const absl::Status status = client.Delete(resource, job.metadata.name_space, job.metadata.name,
                                            {.uid = controller::UidOf(*found)});
  return absl::IsNotFound(status) || absl::IsAborted(status) ? absl::OkStatus() : status;
}

}  // namespace

const controller::Resource kDisruptionBudgets = {"policy", "v1", "poddisruptionbudgets"};
const controller::Resource kServices = {"", "v1", "services"};

int32_t PodsThatStay(const api::Workers& workers) {
  return std::max(0, std::min(workers.min_replicas, workers.replicas - 1));
}

Companions MakeCompanions(const api::TrainingJob& job, bool over) {
  const json selector = {{api::kJobNameLabel, job.metadata.name}};
  Companions companions{.service = Companion(job, "v1", "Service")};
  companions.service["spec"] = {
      {"clusterIP", "None"}, {"selector", selector}, {"publishNotReadyAddresses", true}};
  if (over || job.spec.suspend) return companions;
  json budget = Companion(job, "policy/v1", "PodDisruptionBudget");
  budget["spec"] = {{"minAvailable", PodsThatStay(job.spec.workers)},
                    {"selector", {{"matchLabels", selector}}},
                    // A pod that is not ready trains nothing.
                    {"unhealthyPodEvictionPolicy", "AlwaysAllow"}};
  companions.disruption_budget = std::move(budget);
  return companions;
}

absl::Status EnsureCompanions(controller::ApiClient& client, const api::TrainingJob& job,
                              const Companions& wanted) {
  absl::Status status = Ensure(client, job, kServices, wanted.service, /*update=*/false);
  status.Update(wanted.disruption_budget
                    ? Ensure(client, job, kDisruptionBudgets, *wanted.disruption_budget,
                             /*update=*/true)
                    : Remove(client, job, kDisruptionBudgets));
  return status;
}

}  // namespace grapevine::training_job
