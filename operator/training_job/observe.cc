#include "operator/training_job/observe.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "fmt/format.h"
#include "operator/api/labels.h"
#include "operator/api/object_meta.h"
#include "operator/base/text.h"
#include "operator/training_job/hindrances.h"
#include "operator/training_job/object_fields.h"

namespace grapevine::training_job {
namespace {

using nlohmann::json;

// Of slots and incarnations: none of ours comes near it, and the next one can be counted.
constexpr int64_t kMostNumbered = 1'000'000'000;

std::optional<int64_t> ToInt(const std::map<std::string, std::string>& map, const char* key) {
  auto it = map.find(key);
  if (it == map.end()) return std::nullopt;
  int64_t value = 0;
  const char* end = it->second.data() + it->second.size();
  auto [parsed, error] = std::from_chars(it->second.data(), end, value);
  if (error != std::errc() || parsed != end) return std::nullopt;
  return value;
}

// The conditions that a cached pod has.
bool IsKeptWithTime(const json& condition) {
  const std::string type = Text(condition, "type");
  return type == "Ready" || type == api::kDisruptionTargetCondition;
}
bool IsKept(const json& condition) {
  return IsKeptWithTime(condition) ||
         (Text(condition, "type") == "PodScheduled" && Text(condition, "status") != "True");
}

bool HasCondition(const json& status, const char* type) {
  for (const json& condition : Child(status, "conditions")) {
    if (Text(condition, "type") == type && Text(condition, "status") == "True") return true;
  }
  return false;
}

// By the condition, or by the reasons of kubelets that end or refuse a pod without it.
bool IsDisrupted(const json& status) {
  constexpr std::string_view kReasons[] = {"Evicted",      "Preempting",
                                           "NodeLost",     "NodeShutdown",
                                           "Shutdown",     "Terminated",
                                           "OutOfcpu",     "OutOfmemory",
                                           "OutOfpods",    "OutOfephemeral-storage",
                                           "NodeAffinity", "UnexpectedAdmissionError"};
  return HasCondition(status, api::kDisruptionTargetCondition) ||
         std::ranges::find(kReasons, Text(status, "reason")) != std::end(kReasons);
}

bool IsControlledBy(const json& metadata, const std::string& uid) {
  for (const json& owner : Child(metadata, "ownerReferences")) {
    if (Text(owner, "uid") == uid && Child(owner, "controller") == true) return true;
  }
  return false;
}

WorkerPod::State StateOf(const api::ObjectMeta& metadata, const std::string& phase) {
  // However it ended: what it counted for stays counted when it is cleared away.
  if (!metadata.deletion_timestamp.empty()) return WorkerPod::State::kTerminating;
  if (phase == "Failed") return WorkerPod::State::kFailed;
  if (phase == "Succeeded") return WorkerPod::State::kSucceeded;
  return phase == "Running" ? WorkerPod::State::kRunning : WorkerPod::State::kPending;
}

// Of the container that failed, where there are several and one did; else of the first that ended.
const json& Terminated(const json& status) {
  static const json kNone;
  const json* first = &kNone;
  for (const json& container : Child(status, "containerStatuses")) {
    const json& terminated = Child(Child(container, "state"), "terminated");
    if (!terminated.is_object()) continue;
    if (const json& code = Child(terminated, "exitCode"); code.is_number() && code != 0) {
      return terminated;
    }
    if (first->is_null()) first = &terminated;
  }
  return *first;
}

// Of what a program logged last: the last line that our log calls an error, without the time in
// front and the fields behind; else the last line.
std::string LastWords(std::string_view text) {
  constexpr size_t kMost = 400;
  constexpr std::string_view kError = "Z error ";
  while (!text.empty() && std::string_view("\n\r ").find(text.back()) != std::string_view::npos) {
    text.remove_suffix(1);
  }
  if (const size_t error = text.rfind(kError); error != std::string_view::npos) {
    text.remove_prefix(error + kError.size());
    text = text.substr(0, std::min(text.find('\n'), text.find(" job=")));
  } else if (const size_t line = text.rfind('\n'); line != std::string_view::npos) {
    text.remove_prefix(line + 1);
  }
  return std::string(Beginning(text, kMost));
}

// Empty when nothing tells.
std::string EndOf(const json& status) {
  std::string end = Text(Terminated(status), "finishedAt");
  if (!end.empty()) return end;
  // A kubelet that evicts or refuses a pod need not say how its containers ended.
  for (const json& condition : Child(status, "conditions")) {
    if (!IsKeptWithTime(condition)) continue;
    end = std::max(end, Text(condition, "lastTransitionTime"));
  }
  return end;
}

void TrimContainer(json& container) {
  Keep(container, {"state"});
  json* state = Inner(container, "state");
  if (state == nullptr || !state->is_object()) return;
  TrimWaiting(*state);
  json* terminated = Inner(*state, "terminated");
  if (terminated == nullptr || !terminated->is_object()) return;
  const std::string words = LastWords(Text(*terminated, "message"));
  if (!words.empty()) (*terminated)["message"] = words;
}

std::string CauseOf(const json& status) {
  const json& terminated = Terminated(status);
  std::string cause;
  const auto add = [&](const std::string& more) {
    if (!more.empty()) cause += (cause.empty() ? "" : ": ") + more;
  };
  add(Text(status, "reason"));  // Evicted, NodeLost
  if (const std::string reason = Text(terminated, "reason"); reason != "Error") add(reason);
  const json& code = Child(terminated, "exitCode");
  if (code.is_number_integer()) add(fmt::format("exit code {}", code.get<int64_t>()));
  add(LastWords(Text(terminated, "message")));
  return cause;
}

}  // namespace

std::optional<WorkerPod> ReadWorkerPod(const json& object, const std::string& job_uid) {
  if (!IsControlledBy(Child(object, "metadata"), job_uid)) return std::nullopt;
  const api::ObjectMeta metadata = api::MetadataOf(object);
  const auto slot = ToInt(metadata.labels, api::kSlotLabel);
  const auto incarnation = ToInt(metadata.labels, api::kIncarnationLabel);
  const auto is_ours = [](std::optional<int64_t> number) {
    return number && *number >= 0 && *number <= kMostNumbered;
  };
  if (!is_ours(slot) || !is_ours(incarnation)) return std::nullopt;
  const json& spec = Child(object, "spec");
  const json& status = Child(object, "status");
  WorkerPod pod{
      .name = metadata.name,
      .uid = metadata.uid,
      .slot = static_cast<int32_t>(*slot),
      .incarnation = static_cast<int32_t>(*incarnation),
      .state = StateOf(metadata, Text(status, "phase")),
      .assigned = !Text(spec, "nodeName").empty(),
      .ready = HasCondition(status, "Ready"),
      .disrupted = IsDisrupted(status),
      .deletion_cost = ToInt(metadata.annotations, api::kPodDeletionCostAnnotation).value_or(0),
      .created = metadata.creation_timestamp,
      .node = Text(spec, "nodeName"),
      .patience = ReadPatience(spec)};
  auto hash = metadata.annotations.find(api::kTemplateHashAnnotation);
  if (hash != metadata.annotations.end()) pod.template_hash = hash->second;
  if (pod.finished_by_itself()) pod.finished = EndOf(status);
  if (pod.state == WorkerPod::State::kPending) pod.hindrance = ReadHindrance(status);
  if (pod.state == WorkerPod::State::kFailed) pod.cause = CauseOf(status);
  return pod;
}

void TrimWorkerPod(json& pod) {
  if (!pod.is_object()) return;
  Keep(pod, {"metadata", "spec", "status"});
  if (json* metadata = Inner(pod, "metadata")) {
    Keep(*metadata, {"name", "namespace", "uid", "resourceVersion", "creationTimestamp",
                     "deletionTimestamp", "labels", "annotations", "ownerReferences"});
    if (json* labels = Inner(*metadata, "labels")) {
      Keep(*labels,
           {api::kJobNameLabel, api::kJobUidLabel, api::kSlotLabel, api::kIncarnationLabel});
    }
    if (json* annotations = Inner(*metadata, "annotations")) {
      Keep(*annotations, {api::kPodDeletionCostAnnotation, api::kTemplateHashAnnotation});
    }
    if (json* owners = Inner(*metadata, "ownerReferences")) {
      for (json& owner : *owners) Keep(owner, {"uid", "controller"});
    }
  }
  if (json* spec = Inner(pod, "spec")) {
    Keep(*spec, {"nodeName", "tolerations"});
    TrimTolerations(*spec);
  }
  json* status = Inner(pod, "status");
  if (status == nullptr) return;
  Keep(*status, {"phase", "reason", "conditions", "containerStatuses", "initContainerStatuses"});
  if (json* conditions = Inner(*status, "conditions"); conditions && conditions->is_array()) {
    std::erase_if(conditions->get_ref<json::array_t&>(),
                  [](const json& condition) { return !IsKept(condition); });
    for (json& condition : *conditions) {
      const bool scheduling = Text(condition, "type") == "PodScheduled";
      scheduling ? Keep(condition, {"type", "status", "reason", "message"})
                 : Keep(condition, {"type", "status", "lastTransitionTime"});
    }
  }
  for (const char* name : {"containerStatuses", "initContainerStatuses"}) {
    json* containers = Inner(*status, name);
    if (containers == nullptr || !containers->is_array()) continue;
    for (json& container : *containers) TrimContainer(container);
  }
}

}  // namespace grapevine::training_job
