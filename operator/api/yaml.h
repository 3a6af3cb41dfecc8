#pragma once

#include <cstddef>
#include <string_view>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace grapevine::api {

inline constexpr size_t kMaxYamlBytes = 1 << 20;

// One YAML document as JSON by the core schema: plain null, true, false, integers and floats are
// typed, quoted scalars stay strings, mapping keys become strings. InvalidArgument, with line and
// column, for what does not parse, a second document, a repeated key, and for more than
// kMaxYamlBytes of text, 64 levels, or 100,000 values or four times kMaxYamlBytes of strings once
// aliases are followed.
absl::StatusOr<nlohmann::json> ParseYaml(std::string_view text);

}  // namespace grapevine::api
