#pragma once

#include <cstddef>
#include <string_view>

#include "operator/base/clock.h"
#include "operator/controller/reconciler.h"

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
  virtual void OnReconcileStarted(const Request& request, Duration waited, size_t waiting) {
    static_cast<void>(request);
    static_cast<void>(waited);
    static_cast<void>(waiting);
  }
  virtual void OnReconciled(const Request& request, Outcome outcome, Duration took) {
    static_cast<void>(request);
    static_cast<void>(outcome);
    static_cast<void>(took);
  }
};

// What a client tells of each call to an API server. Calls must return soon. Thread-safe.
class RequestProbe {
 public:
  virtual ~RequestProbe() = default;
  // `http_status` is 0 when no answer came.
  virtual void OnRequest(std::string_view method, std::string_view host, int http_status,
                         Duration took) = 0;
};

}  // namespace grapevine::controller
