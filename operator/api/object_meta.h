#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nlohmann/json.hpp"

namespace grapevine::api {

using WallTime = std::chrono::system_clock::time_point;

// RFC 3339 in UTC with whole seconds, as Kubernetes writes times: 2024-05-01T09:30:00Z.
std::string FormatWallTime(WallTime time);
// The same with six digits of a second, as leases and events want it: 2024-05-01T09:30:00.000000Z.
std::string FormatMicroTime(WallTime time);
// nullopt unless `text` has exactly the form above, in the years 1900 to 2261; a fraction of a
// second is accepted and dropped.
std::optional<WallTime> ParseWallTime(std::string_view text);

// What Grapevine reads of metadata. Times are RFC 3339; deletion_timestamp is empty for a live
// object.
struct ObjectMeta {
  std::string name;
  std::string name_space = "default";
  std::string uid;
  std::string resource_version;
  int64_t generation = 0;
  std::string creation_timestamp;
  std::string deletion_timestamp;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;

  bool operator==(const ObjectMeta&) const = default;
};

// Takes what has the right type and leaves the rest at its default: the server wrote it. `object`
// is the whole object.
ObjectMeta MetadataOf(const nlohmann::json& object);
// Leaves out what is empty.
nlohmann::json ToJson(const ObjectMeta& metadata);

// metav1.Condition.
struct Condition {
  std::string type;
  std::string status = "Unknown";  // True | False | Unknown
  std::string reason;
  std::string message;
  int64_t observed_generation = 0;
  std::string last_transition_time;

  bool operator==(const Condition&) const = default;
};

// nullptr when there is none of that type.
const Condition* FindCondition(const std::vector<Condition>& conditions, std::string_view type);
bool IsTrue(const std::vector<Condition>& conditions, std::string_view type);

// Adds or replaces the condition of `next.type`. last_transition_time becomes `now` only when the
// status changes. True when anything changed, observed_generation included.
bool SetCondition(std::vector<Condition>& conditions, Condition next, WallTime now);

}  // namespace grapevine::api
