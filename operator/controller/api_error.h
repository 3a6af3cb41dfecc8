#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "nlohmann/json.hpp"
#include "operator/base/clock.h"

namespace grapevine::controller {

// What an API server said of a call that it refused: its Status object, for those to whom the code
// of an absl::Status is not enough.
struct ApiError {
  int http_status = 0;
  std::string reason;   // AlreadyExists, Expired, Forbidden...; empty when it named none
  std::string message;  // its words
  std::optional<Duration> retry_after;
  nlohmann::json details;  // of the Status: name, kind, causes; null for none

  bool operator==(const ApiError&) const = default;
};

// The code by which callers decide, see ApiClient; the message is the server's; the rest goes along
// as a payload. Pure.
absl::Status ToStatus(const ApiError& error);

// What came along; nullopt for a status that no server sent.
std::optional<ApiError> ApiErrorOf(const absl::Status& status);

// Of a quota: a 403, but one that heals.
bool IsQuota(const ApiError& error);

}  // namespace grapevine::controller
