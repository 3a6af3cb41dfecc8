#pragma once

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace grapevine {

// The two status types have the same sixteen codes under other names. Messages are kept, payloads
// are not. A code that is none of them, as a foreign peer may send, becomes Unknown.
grpc::Status ToGrpcStatus(const absl::Status& status);
absl::Status FromGrpcStatus(const grpc::Status& status);

}  // namespace grapevine
