#pragma once

#include <cstddef>
#include <string_view>

#include "operator/base/clock.h"

namespace grapevine::controller {

// What a controller tells of itself, for metrics. Calls must return soon. The default does nothing.
// Thread-safe.
class Probe {
 public:
  enum class Outcome { kSuccess, kRequeueAfter, kError, kTerminalError };

  virtual ~Probe() = default;
  // A name was added from outside; `waiting` names wait now.
  virtual void OnAdded(size_t waiting) { static_cast<void>(waiting); }
  // A name was added again after an error.
  virtual void OnRetried() {}
  virtual void OnReconcileStarted(Duration waited, size_t waiting) {
    static_cast<void>(waited);
    static_cast<void>(waiting);
  }
  virtual void OnReconciled(Outcome outcome, Duration took) {
    static_cast<void>(outcome);
    static_cast<void>(took);
  }
};

}  // namespace grapevine::controller
