#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "operator/training_job/observe.h"

namespace grapevine::training_job {

inline constexpr Duration kRefusedPause = 30s;  // until somebody has mended the cause

// The pause after the API server has refused a job's pods: because the template is invalid, a
// policy or a quota forbids them, or a name is taken. Asking again soon mends nothing, and the job
// is looked at often for other reasons. A changed spec ends the pause. Thread-compatible.
class CreationPause {
 public:
  // Whether `created`, the outcome of an attempt, is such a refusal; begins the pause if so.
  bool Begin(const absl::Status& created, int64_t generation, Time now);
  // Of a pause that holds.
  std::optional<Refusal> At(int64_t generation, Time now) const;

 private:
  Refusal refusal_;  // `left` is not kept
  int64_t generation_ = 0;
  Time end_{};
};

}  // namespace grapevine::training_job
