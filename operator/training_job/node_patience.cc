#include "operator/training_job/node_patience.h"

#include <algorithm>
#include <string>

#include "operator/training_job/object_fields.h"

namespace grapevine::training_job {
namespace {

using nlohmann::json;

// As good as for ever, and times can be counted with it.
constexpr std::chrono::seconds kLongestPatience = std::chrono::hours(24 * 365 * 10);

// Both taints have no value.
bool Matches(const json& toleration, const char* taint) {
  if (!toleration.is_object()) return false;
  const std::string key = Text(toleration, "key");
  const std::string effect = Text(toleration, "effect");
  const bool exists = Text(toleration, "operator") == "Exists";
  if (!effect.empty() && effect != "NoExecute") return false;
  if (key.empty()) return exists;
  return key == taint && (exists || Text(toleration, "value").empty());
}

std::optional<std::chrono::seconds> Patience(const json& pod_spec, const char* taint) {
  std::optional<std::chrono::seconds> shortest;
  bool tolerated = false;
  for (const json& toleration : Child(pod_spec, "tolerations")) {
    if (!Matches(toleration, taint)) continue;
    tolerated = true;
    const json& limit = Child(toleration, "tolerationSeconds");
    if (!limit.is_number_integer()) continue;
    const std::chrono::seconds seconds = std::clamp(std::chrono::seconds(limit.get<int64_t>()),
                                                    std::chrono::seconds(0), kLongestPatience);
    shortest = std::min(shortest.value_or(seconds), seconds);
  }
  return tolerated ? shortest : std::chrono::seconds(0);
}

bool Tolerates(const json& pod_spec, const char* taint) {
  return std::ranges::any_of(Child(pod_spec, "tolerations"),
                             [&](const json& toleration) { return Matches(toleration, taint); });
}

}  // namespace

NodePatience ReadPatience(const json& pod_spec) {
  return {.not_ready = Patience(pod_spec, kNotReadyTaint),
          .unreachable = Patience(pod_spec, kUnreachableTaint)};
}

void TrimTolerations(json& pod_spec) {
  json* tolerations = Inner(pod_spec, "tolerations");
  if (tolerations == nullptr || !tolerations->is_array()) return;
  std::erase_if(tolerations->get_ref<json::array_t&>(), [](const json& toleration) {
    return !Matches(toleration, kNotReadyTaint) && !Matches(toleration, kUnreachableTaint);
  });
}

void AddTolerations(json& pod_spec) {
  for (const char* taint : {kNotReadyTaint, kUnreachableTaint}) {
    if (Tolerates(pod_spec, taint)) continue;
    json& tolerations = pod_spec["tolerations"];
    if (!tolerations.is_array()) tolerations = json::array();
    tolerations.push_back({{"key", taint},
                           {"operator", "Exists"},
                           {"effect", "NoExecute"},
                           {"tolerationSeconds", kNodePatience.count()}});
  }
}

}  // namespace grapevine::training_job
