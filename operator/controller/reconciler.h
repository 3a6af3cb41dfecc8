#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "operator/base/clock.h"

namespace grapevine::controller {

struct Request {
  std::string name_space;
  std::string name;

  auto operator<=>(const Request&) const = default;
};

struct Result {
  std::optional<Duration> requeue_after;  // nullopt: not before something changes
};

// Makes the world match one object, given its name alone. Level-based: what changed is not told,
// and several changes may be one call, so it reads everything again. A name is never reconciled
// twice at once. An error is tried again with backoff, unless it is InvalidArgument or
// FailedPrecondition, which no repeat would mend. Thread-safe.
class Reconciler {
 public:
  virtual ~Reconciler() = default;
  virtual absl::StatusOr<Result> Reconcile(const Request& request) = 0;
};

}  // namespace grapevine::controller
