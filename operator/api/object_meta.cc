#include "operator/api/object_meta.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <ctime>
#include <utility>

#include "fmt/chrono.h"
#include "fmt/format.h"

namespace grapevine::api {
namespace {

using nlohmann::json;

// What nanoseconds from 1970 on can count to, and be subtracted from a time of ours.
constexpr std::chrono::year kFirstYear(1900);
constexpr std::chrono::year kLastYear(2261);

template <typename T>
void Take(const json& object, const char* key, T& value) {
  const auto found = object.find(key);
  if (found == object.end()) return;
  if constexpr (std::is_same_v<T, std::string>) {
    if (found->is_string()) value = found->get<std::string>();
  } else {
    if (found->is_number_integer()) value = found->get<T>();
  }
}

void Take(const json& object, const char* key, std::map<std::string, std::string>& value) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_object()) return;
  for (const auto& [name, text] : found->items()) {
    if (text.is_string()) value[name] = text.get<std::string>();
  }
}

}  // namespace

std::string FormatWallTime(WallTime time) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(
                                                  std::chrono::floor<std::chrono::seconds>(time))));
}

std::string FormatMicroTime(WallTime time) {
  const auto second = std::chrono::floor<std::chrono::seconds>(time);
  const auto rest = std::chrono::floor<std::chrono::microseconds>(time - second);
  std::string text = FormatWallTime(second);
  text.pop_back();
  return fmt::format("{}.{:06}Z", text, rest.count());
}

std::optional<WallTime> ParseWallTime(std::string_view text) {
  constexpr std::string_view kForm = "dddd-dd-ddTdd:dd:dd";
  if (text.size() < kForm.size() + 1 || text.size() > kForm.size() + 11 || !text.ends_with('Z')) {
    return std::nullopt;
  }
  for (size_t i = 0; i < kForm.size(); ++i) {
    const bool digit = std::isdigit(static_cast<unsigned char>(text[i])) != 0;
    if (kForm[i] == 'd' ? !digit : text[i] != kForm[i]) return std::nullopt;
  }
  const std::string_view fraction = text.substr(kForm.size(), text.size() - kForm.size() - 1);
  if (!fraction.empty() &&
      (fraction[0] != '.' || fraction.size() == 1 ||
       fraction.find_first_not_of("0123456789", 1) != std::string_view::npos)) {
    return std::nullopt;
  }
  const auto number = [&](size_t at, size_t digits) {
    int value = 0;
    for (char c : text.substr(at, digits)) value = 10 * value + (c - '0');
    return value;
  };
  const std::chrono::year_month_day date(std::chrono::year(number(0, 4)),
                                         std::chrono::month(static_cast<unsigned>(number(5, 2))),
                                         std::chrono::day(static_cast<unsigned>(number(8, 2))));
  const int hour = number(11, 2);
  const int minute = number(14, 2);
  const int second = number(17, 2);
  if (!date.ok() || date.year() < kFirstYear || date.year() > kLastYear) return std::nullopt;
  if (hour > 23 || minute > 59 || second > 59) return std::nullopt;
  return std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second);
}

ObjectMeta MetadataOf(const json& object) {
  ObjectMeta result;
  if (!object.is_object()) return result;
  const auto metadata = object.find("metadata");
  if (metadata == object.end() || !metadata->is_object()) return result;
  Take(*metadata, "name", result.name);
  Take(*metadata, "namespace", result.name_space);
  Take(*metadata, "uid", result.uid);
  Take(*metadata, "resourceVersion", result.resource_version);
  Take(*metadata, "generation", result.generation);
  Take(*metadata, "creationTimestamp", result.creation_timestamp);
  Take(*metadata, "deletionTimestamp", result.deletion_timestamp);
  Take(*metadata, "labels", result.labels);
  Take(*metadata, "annotations", result.annotations);
  return result;
}

json ToJson(const ObjectMeta& metadata) {
  json result = {{"name", metadata.name}};
  const auto put = [&](const char* key, const std::string& value) {
    if (!value.empty()) result[key] = value;
  };
  put("namespace", metadata.name_space);
  put("uid", metadata.uid);
  put("resourceVersion", metadata.resource_version);
  if (metadata.generation != 0) result["generation"] = metadata.generation;
  put("creationTimestamp", metadata.creation_timestamp);
  put("deletionTimestamp", metadata.deletion_timestamp);
  if (!metadata.labels.empty()) result["labels"] = metadata.labels;
  if (!metadata.annotations.empty()) result["annotations"] = metadata.annotations;
  return result;
}

const Condition* FindCondition(const std::vector<Condition>& conditions, std::string_view type) {
  const auto found = std::find_if(conditions.begin(), conditions.end(),
                                  [&](const Condition& c) { return c.type == type; });
  return found == conditions.end() ? nullptr : &*found;
}

bool IsTrue(const std::vector<Condition>& conditions, std::string_view type) {
  const Condition* const found = FindCondition(conditions, type);
  return found != nullptr && found->status == "True";
}

bool SetCondition(std::vector<Condition>& conditions, Condition next, WallTime now) {
  const auto found = std::find_if(conditions.begin(), conditions.end(),
                                  [&](const Condition& c) { return c.type == next.type; });
  const bool new_status = found == conditions.end() || found->status != next.status;
  next.last_transition_time = new_status ? FormatWallTime(now) : found->last_transition_time;
  if (found == conditions.end()) {
    conditions.push_back(std::move(next));
    return true;
  }
  if (*found == next) return false;
  *found = std::move(next);
  return true;
}

}  // namespace grapevine::api
