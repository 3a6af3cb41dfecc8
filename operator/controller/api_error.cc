#include "operator/controller/api_error.h"

#include "absl/strings/cord.h"

namespace grapevine::controller {
namespace {

using nlohmann::json;

constexpr char kPayload[] = "grapevine.dev/api-error";

// A patch that names another UID than the object's is refused as one that would change it.
bool IsOfAnotherUid(const ApiError& error) {
  if (error.http_status != 422 || !error.details.is_object()) return false;
  for (const json& cause : error.details.value("causes", json::array())) {
    if (cause.is_object() && cause.value("field", json()) == "metadata.uid") return true;
  }
  return false;
}

absl::StatusCode CodeOf(const ApiError& error) {
  switch (error.http_status) {
    case 400:
    case 413:
    case 422:
      return IsOfAnotherUid(error) ? absl::StatusCode::kAborted
                                   : absl::StatusCode::kInvalidArgument;
    case 401:
      return absl::StatusCode::kUnauthenticated;
    case 403:
      return IsQuota(error) ? absl::StatusCode::kResourceExhausted
                            : absl::StatusCode::kPermissionDenied;
    case 404:
      return absl::StatusCode::kNotFound;
    case 409:
      return error.reason == "AlreadyExists" ? absl::StatusCode::kAlreadyExists
                                             : absl::StatusCode::kAborted;
    case 410:
      return absl::StatusCode::kOutOfRange;
    case 429:
      return absl::StatusCode::kResourceExhausted;
    case 504:
      // "Too large resource version": the cache is behind what this client has seen elsewhere.
      return error.reason == "Timeout" && error.details.is_object() &&
                     error.details.dump().find("ResourceVersionTooLarge") != std::string::npos
                 ? absl::StatusCode::kOutOfRange
                 : absl::StatusCode::kDeadlineExceeded;
    default:
      return error.http_status >= 500 ? absl::StatusCode::kUnavailable : absl::StatusCode::kUnknown;
  }
}

}  // namespace

bool IsQuota(const ApiError& error) {
  return error.http_status == 403 && error.message.find("exceeded quota") != std::string::npos;
}

absl::Status ToStatus(const ApiError& error) {
  absl::Status status(CodeOf(error), error.message);
  json payload = {{"code", error.http_status},
                  {"reason", error.reason},
                  {"message", error.message},
                  {"details", error.details}};
  if (error.retry_after) payload["retryAfter"] = error.retry_after->count();
  const std::vector<uint8_t> bytes = json::to_cbor(payload);
  status.SetPayload(kPayload, absl::Cord(absl::string_view(
                                  reinterpret_cast<const char*>(bytes.data()), bytes.size())));
  return status;
}

std::optional<ApiError> ApiErrorOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kPayload);
  if (!payload) return std::nullopt;
  const json read = json::from_cbor(std::string(*payload));
  ApiError error{.http_status = read["code"].get<int>(),
                 .reason = read["reason"].get<std::string>(),
                 .message = read["message"].get<std::string>(),
                 .details = read["details"]};
  if (read.contains("retryAfter")) error.retry_after = Duration(read["retryAfter"].get<int64_t>());
  return error;
}

}  // namespace grapevine::controller
