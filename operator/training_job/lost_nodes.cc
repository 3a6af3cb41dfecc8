#include "operator/training_job/lost_nodes.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>

#include "operator/training_job/object_fields.h"

namespace grapevine::training_job {
namespace {

using nlohmann::json;

bool IsRead(const json& taint) {
  const std::string key = Text(taint, "key");
  return key == kOutOfServiceTaint || (Text(taint, "effect") == "NoExecute" &&
                                       (key == kNotReadyTaint || key == kUnreachableTaint));
}

const json& Ready(const json& node) {
  return Entry(Child(node, "status"), "conditions", "type", "Ready");
}

// Null for a node that nothing is wrong with.
json Troubles(const controller::Object& node) {
  if (!node) return nullptr;
  const json& taints = Child(Child(*node, "spec"), "taints");
  if (!std::ranges::any_of(taints, IsRead)) return nullptr;
  return json::array({Text(Ready(*node), "status"), taints});
}

struct Judgement {
  WorkerPod::Loss loss = WorkerPod::Loss::kNone;
  std::optional<Duration> lost_in;
};

Judgement JudgeTaints(const json& node, const NodePatience& patience, api::WallTime now) {
  const json& ready = Ready(node);
  const json& spec = Child(node, "spec");
  if (!Entry(spec, "taints", "key", kOutOfServiceTaint).is_null()) {
    return {WorkerPod::Loss::kGone, {}};
  }
  Judgement judgement;
  if (Text(ready, "status") == "True") return judgement;  // it came back; its taints go soon
  for (const json& taint : Child(spec, "taints")) {
    if (!IsRead(taint)) continue;
    const bool unreachable = Text(taint, "key") == kUnreachableTaint;
    const auto limit = unreachable ? patience.unreachable : patience.not_ready;
    auto since = api::ParseWallTime(Text(taint, "timeAdded"));
    if (!since) since = api::ParseWallTime(Text(ready, "lastTransitionTime"));
    if (!limit || !since) continue;
    const Duration left = *limit - (now - *since);
    if (left <= 0s) return {WorkerPod::Loss::kUnreachable, {}};
    judgement.lost_in = std::min(judgement.lost_in.value_or(left), left);
  }
  return judgement;
}

}  // namespace

void TrimNode(json& node) {
  if (!node.is_object()) return;
  Keep(node, {"metadata", "spec", "status"});
  if (json* metadata = Inner(node, "metadata")) Keep(*metadata, {"name", "uid", "resourceVersion"});
  if (json* spec = Inner(node, "spec")) {
    Keep(*spec, {"taints"});
    if (json* taints = Inner(*spec, "taints"); taints != nullptr && taints->is_array()) {
      std::erase_if(taints->get_ref<json::array_t&>(),
                    [](const json& taint) { return !IsRead(taint); });
    }
  }
  if (json* status = Inner(node, "status")) {
    json ready = Ready(node);
    Keep(ready, {"type", "status", "lastTransitionTime"});
    *status = {{"conditions", json::array({std::move(ready)})}};
  }
}

bool NodeFaresOtherwise(const controller::ObjectChange& change) {
  return !change.now || Troubles(change.before) != Troubles(change.now);
}

void JudgeNodes(std::vector<WorkerPod>& pods, api::WallTime now, const NodeLookup& find) {
  std::map<std::string, absl::StatusOr<json>> nodes;
  for (WorkerPod& pod : pods) {
    if (pod.node.empty() || !pod.active()) continue;
    auto node = nodes.find(pod.node);
    if (node == nodes.end()) node = nodes.emplace(pod.node, find(pod.node)).first;
    Judgement judgement;
    if (node->second.ok()) {
      judgement = JudgeTaints(*node->second, pod.patience, now);
    } else if (absl::IsNotFound(node->second.status())) {
      judgement.loss = WorkerPod::Loss::kGone;
    }
    pod.loss = judgement.loss;
    pod.lost_in = judgement.lost_in;
    pod.disrupted = pod.disrupted || pod.loss != WorkerPod::Loss::kNone;
  }
}

}  // namespace grapevine::training_job
