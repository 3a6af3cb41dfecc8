#include "operator/training_job/object_fields.h"

#include <utility>

namespace grapevine::training_job {

using nlohmann::json;

namespace {

const json& None() {
  static const json kNone;
  return kNone;
}

}  // namespace

const json& Child(const json& object, const char* key) {
  if (!object.is_object()) return None();
  auto it = object.find(key);
  return it == object.end() ? None() : *it;
}

std::string Text(const json& object, const char* key) {
  const json& value = Child(object, key);
  return value.is_string() ? value.get<std::string>() : "";
}

const json& Entry(const json& object, const char* list, const char* key, const std::string& value) {
  for (const json& entry : Child(object, list)) {
    if (Text(entry, key) == value) return entry;
  }
  return None();
}

void Keep(json& object, std::initializer_list<const char*> names) {
  if (!object.is_object()) return;
  json kept = json::object();
  for (const char* name : names) {
    if (auto it = object.find(name); it != object.end()) kept[name] = std::move(*it);
  }
  object = std::move(kept);
}

json* Inner(json& object, const char* name) {
  auto it = object.find(name);
  return it != object.end() && it->is_structured() ? &*it : nullptr;
}

}  // namespace grapevine::training_job
