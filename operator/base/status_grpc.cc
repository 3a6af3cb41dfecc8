#include "operator/base/status_grpc.h"

#include <string>

namespace grapevine {

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  // code() maps what it does not know to Unknown; grpc::StatusCode has no such step.
  const absl::Status known(static_cast<absl::StatusCode>(status.error_code()), "");
  return absl::Status(known.code(), status.error_message());
}

}  // namespace grapevine
