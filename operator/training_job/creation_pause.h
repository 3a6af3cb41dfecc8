#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "operator/training_job/observe.h"

namespace grapevine::training_job {

inline constexpr Duration kRefusedPause = 30s;  // until somebody has mended the cause

// The server took a creation for impossible: the object is invalid, a policy or a quota forbids it,
// or its name is taken. Asking again soon mends nothing.
bool IsRefusal(const absl::Status& created);

// The pause after the API server has refused a job's pods: the job is looked at much more often,
// for other reasons. A changed spec ends it. Thread-compatible.
class CreationPause {
 public:
  // Whether `created`, the outcome of an attempt, is a refusal; begins the pause if so.
  bool Begin(const absl::Status& created, int64_t generation, Time now);
  // Of a pause that holds.
  std::optional<Refusal> At(int64_t generation, Time now) const;

 private:
  Refusal refusal_;  // `left` is not kept
  int64_t generation_ = 0;
  Time end_{};
};

}  // namespace grapevine::training_job
