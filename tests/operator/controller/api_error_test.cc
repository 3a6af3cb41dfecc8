#include "operator/controller/api_error.h"

#include <vector>

#include "gtest/gtest.h"

namespace grapevine::controller {
namespace {

TEST(ApiError, TheCodeSaysWhatToDo) {
  const struct {
    ApiError error;
    absl::StatusCode code;
  } cases[] = {
      {{.http_status = 400}, absl::StatusCode::kInvalidArgument},
      {{.http_status = 401}, absl::StatusCode::kUnauthenticated},
      {{.http_status = 403, .message = "pods is forbidden"}, absl::StatusCode::kPermissionDenied},
      {{.http_status = 403, .message = "pods \"x\" is forbidden: exceeded quota: q"},
       absl::StatusCode::kResourceExhausted},
      {{.http_status = 404}, absl::StatusCode::kNotFound},
      {{.http_status = 409, .reason = "AlreadyExists"}, absl::StatusCode::kAlreadyExists},
      {{.http_status = 409, .reason = "Conflict"}, absl::StatusCode::kAborted},
      {{.http_status = 410, .reason = "Expired"}, absl::StatusCode::kOutOfRange},
      {{.http_status = 413}, absl::StatusCode::kInvalidArgument},
      {{.http_status = 422}, absl::StatusCode::kInvalidArgument},
      {{.http_status = 422, .details = {{"causes", {{{"field", "metadata.uid"}}}}}},
       absl::StatusCode::kAborted},
      {{.http_status = 429}, absl::StatusCode::kResourceExhausted},
      {{.http_status = 500}, absl::StatusCode::kUnavailable},
      {{.http_status = 503}, absl::StatusCode::kUnavailable},
      {{.http_status = 504, .reason = "Timeout"}, absl::StatusCode::kDeadlineExceeded},
      {{.http_status = 504,
        .reason = "Timeout",
        .details = {{"causes", {{{"reason", "ResourceVersionTooLarge"}}}}}},
       absl::StatusCode::kOutOfRange},
      {{.http_status = 302}, absl::StatusCode::kUnknown},
      {{.http_status = 0}, absl::StatusCode::kUnknown},
  };
  for (const auto& [error, code] : cases) {
    EXPECT_EQ(ToStatus(error).code(), code) << error.http_status << " " << error.reason;
  }
}

TEST(ApiError, WhatTheServerSaidGoesAlong) {
  const ApiError error{.http_status = 422,
                       .reason = "Invalid",
                       .message = "spec.training.epochs: must be at least 1",
                       .retry_after = 3s,
                       .details = {{"causes", {{{"field", "spec.training.epochs"}}}}}};
  const absl::Status status = ToStatus(error);
  EXPECT_EQ(status.message(), error.message);
  EXPECT_EQ(ApiErrorOf(status), error);
}

TEST(ApiError, WhatNoServerSentHasNone) {
  EXPECT_EQ(ApiErrorOf(absl::UnavailableError("connection refused")), std::nullopt);
  EXPECT_EQ(ApiErrorOf(absl::OkStatus()), std::nullopt);
}

}  // namespace
}  // namespace grapevine::controller
