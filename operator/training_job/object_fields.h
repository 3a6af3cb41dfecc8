#pragma once

#include <initializer_list>
#include <string>

#include "nlohmann/json.hpp"

namespace grapevine::training_job {

// Reads of objects that a server wrote, which may have anything anywhere: what is not there, or has
// another type, is empty.

// Null when there is none.
const nlohmann::json& Child(const nlohmann::json& object, const char* key);
std::string Text(const nlohmann::json& object, const char* key);
// The first of the list `list` whose `key` is `value`; null when there is none.
const nlohmann::json& Entry(const nlohmann::json& object, const char* list, const char* key,
                            const std::string& value);

// Takes all but these off a mapping.
void Keep(nlohmann::json& object, std::initializer_list<const char*> names);
// A mapping or list inside; nullptr where there is neither.
nlohmann::json* Inner(nlohmann::json& object, const char* name);

}  // namespace grapevine::training_job
