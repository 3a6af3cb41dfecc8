#pragma once

#include <string_view>

#include "nlohmann/json.hpp"

namespace grapevine::kube {

// API servers take no more themselves. Whoever copies or writes out a value needs some hundred
// bytes of stack for each level.
inline constexpr int kMostLevels = 10'000;

// What came from elsewhere. Discarded (is_discarded) for what is no JSON or nests deeper than
// kMostLevels. Pure.
nlohmann::json ParseJson(std::string_view text);

}  // namespace grapevine::kube
