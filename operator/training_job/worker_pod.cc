#include "operator/training_job/worker_pod.h"

#include "fmt/format.h"
#include "operator/api/labels.h"
#include "operator/training_job/elasticity.h"
#include "operator/training_job/node_patience.h"

namespace grapevine::training_job {
namespace {

using nlohmann::json;

json FromField(const char* name, const char* path) {
  return {{"name", name}, {"valueFrom", {{"fieldRef", {{"fieldPath", path}}}}}};
}

// A template may have anything here that the API server let pass.
json& Mapping(json& object, const char* key) {
  json& child = object[key];
  if (!child.is_object()) child = json::object();
  return child;
}

// Of two with one name the later stands.
void AddEnvironment(json& container, const std::string& job, const WorkerLaunch& launch) {
  json& variables = container["env"];
  if (!variables.is_array()) variables = json::array();
  if (launch.pod_network) {
    // First: where to listen may be the template's to say.
    variables.insert(variables.begin(), {{{"name", "GRAPEVINE_LISTEN"}, {"value", "0.0.0.0:0"}},
                                         FromField("GRAPEVINE_ADVERTISE", "status.podIP")});
  }
  variables.push_back({{"name", "GRAPEVINE_HUB"}, {"value", launch.hub_address}});
  variables.push_back({{"name", "GRAPEVINE_JOB"}, {"value", job}});
  variables.push_back(FromField("GRAPEVINE_NAMESPACE", "metadata.namespace"));
  variables.push_back(FromField("GRAPEVINE_POD", "metadata.name"));
  variables.push_back(FromField("GRAPEVINE_POD_UID", "metadata.uid"));
}

}  // namespace

std::string PodName(const std::string& job, const PodToCreate& pod) {
  return fmt::format("{}-{}-{}", job, pod.slot, pod.incarnation);
}

json OwnerReference(const api::TrainingJob& job) {
  return {{"apiVersion", api::kApiVersion},
          {"kind", api::kTrainingJobKind},
          {"name", job.metadata.name},
          {"uid", job.metadata.uid},
          {"controller", true},
          {"blockOwnerDeletion", true}};
}

json MakeWorkerPod(const api::TrainingJob& job, const PodToCreate& pod,
                   const WorkerLaunch& launch) {
  json object = job.spec.workers.pod_template;
  if (!object.is_object()) object = json::object();
  object["apiVersion"] = "v1";
  object["kind"] = "Pod";
  json& metadata = Mapping(object, "metadata");
  json& labels = Mapping(metadata, "labels");
  metadata["name"] = PodName(job.metadata.name, pod);
  metadata["namespace"] = job.metadata.name_space;
  for (const char* queue : {api::kQueueNameLabel, api::kQueuePriorityLabel}) {
    const auto of_job = job.metadata.labels.find(queue);
    // A template that names another queue means it.
    if (of_job != job.metadata.labels.end()) labels.emplace(queue, of_job->second);
  }
  labels[api::kJobNameLabel] = job.metadata.name;
  labels[api::kJobUidLabel] = job.metadata.uid;
  labels[api::kSlotLabel] = std::to_string(pod.slot);
  labels[api::kIncarnationLabel] = std::to_string(pod.incarnation);
  Mapping(metadata, "annotations")[api::kTemplateHashAnnotation] = TemplateHash(job.spec);
  metadata["ownerReferences"] = json::array({OwnerReference(job)});
  json& spec = Mapping(object, "spec");
  spec["restartPolicy"] = "Never";
  json& containers = spec["containers"];
  if (!containers.is_array() || containers.empty()) {
    containers = json::array({{{"name", "worker"}}});
  }
  if (!containers[0].is_object()) containers[0] = {{"name", "worker"}};
  if (!launch.image.empty() && !containers[0].contains("image")) {
    containers[0]["image"] = launch.image;
  }
  if (!containers[0].contains("terminationMessagePolicy")) {
    containers[0]["terminationMessagePolicy"] = "FallbackToLogsOnError";
  }
  if (launch.pod_network) {
    AddTolerations(spec);
    // With the Service of companions.h its name is one of the cluster's DNS.
    spec["hostname"] = metadata["name"];
    spec["subdomain"] = job.metadata.name;
  }
  AddEnvironment(containers[0], job.metadata.name, launch);
  return object;
}

}  // namespace grapevine::training_job
