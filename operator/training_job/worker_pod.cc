#include "operator/training_job/worker_pod.h"

#include <algorithm>

#include "fmt/format.h"
#include "operator/api/labels.h"
#include "operator/training_job/elasticity.h"
#include "operator/training_job/node_patience.h"

namespace grapevine::training_job {
namespace {

using nlohmann::json;

constexpr char kMetricsPortName[] = "metrics";
constexpr int kWorkerMetricsPort = 8080;  // of a template that names no other

json FromField(const char* name, const char* path) {
  return {{"name", name}, {"valueFrom", {{"fieldRef", {{"fieldPath", path}}}}}};
}

// A template may have anything here that the API server let pass.
json& Mapping(json& object, const char* key) {
  json& child = object[key];
  if (!child.is_object()) child = json::object();
  return child;
}

// What a namespace with Pod Security "restricted" asks for. A template that says anything of it
// means that alone.
void Restrict(const json& spec, json& container) {
  if (spec.contains("securityContext") || container.contains("securityContext")) return;
  container["securityContext"] = {{"runAsNonRoot", true},
                                  {"readOnlyRootFilesystem", true},
                                  {"allowPrivilegeEscalation", false},
                                  {"capabilities", {{"drop", {"ALL"}}}},
                                  {"seccompProfile", {{"type", "RuntimeDefault"}}}};
}

// Not on the node's own network, where every worker would want the same port of it.
void NameMetricsPort(const json& spec, json& container) {
  if (spec.contains("hostNetwork") && spec["hostNetwork"] == true) return;
  json& ports = container["ports"];
  if (!ports.is_array()) ports = json::array();
  json port = kWorkerMetricsPort;
  const auto named = std::find_if(ports.begin(), ports.end(), [](const json& each) {
    return each.is_object() && each.contains("name") && each["name"] == kMetricsPortName;
  });
  if (named != ports.end()) {
    port = named->value("containerPort", json());
  } else {
    ports.push_back({{"name", kMetricsPortName}, {"containerPort", port}});
  }
  json& variables = container["env"];
  variables.insert(variables.begin(), json({{"name", "GRAPEVINE_METRICS"},
                                            {"value", fmt::format("0.0.0.0:{}", port.dump())}}));
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
    if (launch.pod_network) Restrict(spec, containers[0]);
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
  if (launch.pod_network) NameMetricsPort(spec, containers[0]);
  return object;
}

}  // namespace grapevine::training_job
