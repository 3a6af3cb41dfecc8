#include <iterator>
#include <vector>

#include "operator/training_job/hindrances.h"
#include "operator/training_job/lost_nodes.h"
#include "operator/training_job/object_fields.h"
#include "operator/training_job/observe.h"
#include "tests/fuzz/mutator.h"
#include "tests/fuzz/require.h"
#include "tests/fuzz/targets.h"

namespace grapevine::fuzz {
namespace {

using nlohmann::json;
using training_job::WorkerPod;

constexpr std::string_view kTokens[] = {"metadata",
                                        "labels",
                                        "annotations",
                                        "ownerReferences",
                                        "controller",
                                        "uid",
                                        "spec",
                                        "tolerations",
                                        "operator",
                                        "Exists",
                                        "status",
                                        "conditions",
                                        "Ready",
                                        "True",
                                        "False",
                                        "Unknown",
                                        "NoExecute",
                                        "waiting",
                                        "terminated",
                                        "exitCode",
                                        "message",
                                        "containerStatuses",
                                        "Failed",
                                        "Succeeded",
                                        "Pending",
                                        "Running",
                                        "DisruptionTarget",
                                        "PodScheduled",
                                        "taints",
                                        "timeAdded",
                                        "node.kubernetes.io/not-ready",
                                        "node.kubernetes.io/unreachable",
                                        "2024-05-01T09:30:00Z",
                                        "node.kubernetes.io/out-of-service",
                                        "tolerationSeconds",
                                        "Z error x job=y"};

// A pod of the job "j", and the node that it is on.
constexpr std::string_view kSeed = R"({"pod": {"kind": "Pod", "metadata": {"name": "a-1-2",
  "namespace": "n", "uid": "u", "resourceVersion": "7", "creationTimestamp": "2024-05-01T09:30:00Z",
  "labels": {"grapevine.dev/slot": "1", "grapevine.dev/incarnation": "2", "x": "y"},
  "annotations": {"controller.kubernetes.io/pod-deletion-cost": "-5",
    "grapevine.dev/template-hash": "h"},
  "ownerReferences": [{"uid": "j", "controller": true, "name": "a"}], "managedFields": [{}]},
"spec": {"nodeName": "m", "containers": [{"name": "w"}], "tolerations": [
  {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute",
   "tolerationSeconds": 30}, {"key": "node.kubernetes.io/unreachable", "tolerationSeconds": 40}]},
"status": {"phase": "Failed", "reason": "Evicted", "conditions": [
    {"type": "Ready", "status": "False", "lastTransitionTime": "2024-05-01T09:31:00Z"},
    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no room"},
    {"type": "ContainersReady", "status": "True"}],
  "initContainerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull", "message": "m"}}}],
  "containerStatuses": [{"name": "w", "ready": false, "state": {"terminated": {"exitCode": 1,
    "reason": "Error", "finishedAt": "2024-05-01T09:32:00Z",
    "message": "2024Z info x\n2024Z error loss is not finite job=a/b"}}}]}},
"node": {"metadata": {"name": "m", "uid": "v", "labels": {}}, "spec": {"taints": [
    {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute",
     "timeAdded": "2024-05-01T09:33:00Z"}, {"key": "x", "effect": "NoSchedule"}]},
  "status": {"conditions": [{"type": "Ready", "status": "Unknown",
    "lastTransitionTime": "2024-05-01T09:33:00Z"}], "images": []}}})";

// All that was read of it, as text.
std::string Describe(const std::optional<WorkerPod>& pod) {
  if (!pod) return "none of the job's";
  return json({pod->name,
               pod->uid,
               pod->slot,
               pod->incarnation,
               pod->state,
               pod->assigned,
               pod->ready,
               pod->disrupted,
               pod->deletion_cost,
               pod->created,
               pod->template_hash,
               pod->finished,
               pod->cause,
               pod->hindrance.reason,
               pod->hindrance.message,
               pod->node,
               pod->patience.not_ready.value_or(-1s).count(),
               pod->patience.unreachable.value_or(-1s).count(),
               pod->loss,
               pod->lost_in.value_or(-1ns).count()})
      .dump();
}

void Judge(std::optional<WorkerPod>& pod, const json& node) {
  if (!pod) return;
  std::vector<WorkerPod> pods = {*pod};
  training_job::JudgeNodes(pods, api::WallTime(1'714'556'060s),
                           [&](const std::string&) { return absl::StatusOr<json>(node); });
  pod = pods[0];
}

}  // namespace

// Whatever is kept of pods and nodes says the same as the whole ones.
void FuzzPod(std::string_view input) {
  const json both = json::parse(input, nullptr, /*allow_exceptions=*/false);
  if (!both.is_object()) return;
  const json pod = training_job::Child(both, "pod");
  const json node = training_job::Child(both, "node");
  json kept_pod = pod;
  json kept_node = node;
  training_job::TrimWorkerPod(kept_pod);
  training_job::TrimNode(kept_node);
  static_cast<void>(kept_pod.dump());  // throws for what is no text
  static_cast<void>(kept_node.dump());
  std::optional<WorkerPod> whole = training_job::ReadWorkerPod(pod, "j");
  std::optional<WorkerPod> kept = training_job::ReadWorkerPod(kept_pod, "j");
  Require(!whole || (whole->slot >= 0 && whole->incarnation >= 0), "a slot below zero");
  Judge(whole, node);
  Judge(kept, kept_node);
  Require(Describe(whole) == Describe(kept),
          "what is kept says " + Describe(kept) + ", the whole " + Describe(whole));
  json again = kept_pod;
  training_job::TrimWorkerPod(again);
  Require(again == kept_pod, "trimmed again it is another");
}

std::string MakePod(uint64_t number) {
  Mutator mutator(number, kTokens);
  json both = json::parse(kSeed);
  if (mutator.OneIn(2)) both["pod"]["status"]["phase"] = mutator.OneIn(2) ? "Pending" : "Running";
  if (number == 0) return both.dump();
  for (const char* part : {"metadata", "spec", "status"}) {
    if (mutator.OneIn(3)) both["pod"][part] = mutator.Json(both["pod"][part]);
  }
  if (mutator.OneIn(3)) both["node"] = mutator.Json(both["node"]);
  return both.dump();
}

}  // namespace grapevine::fuzz
