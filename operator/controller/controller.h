#pragma once

#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "operator/base/clock.h"
#include "operator/controller/delaying_queue.h"
#include "operator/controller/probe.h"
#include "operator/controller/rate_limiter.h"
#include "operator/controller/reconciler.h"

namespace grapevine::controller {

struct ControllerOptions {
  std::string name;  // in logs
  int threads = 1;
  RateLimiterOptions rate_limiter;
};

// Runs one Reconciler: takes names from its queue on a few threads and lets the result decide when
// a name comes again. Start it when all informers that the reconciler reads have synced; names may
// be enqueued before. Thread-safe.
class Controller {
 public:
  // All three must outlive the controller.
  Controller(Reconciler* reconciler, const Clock* clock, Probe* probe, ControllerOptions options);
  ~Controller();

  void Enqueue(const Request& request);

  void Start();
  // Lets what waits and what runs come to an end, then returns. Later additions are ignored.
  void Stop();

 private:
  void Work();
  void Settle(const Request& request, const absl::StatusOr<Result>& result, Duration took);

  Reconciler* const reconciler_;
  const Clock* const clock_;
  Probe* const probe_;
  const ControllerOptions options_;
  DelayingQueue queue_;
  std::vector<std::thread> threads_;  // set by Start, emptied by Stop
};

}  // namespace grapevine::controller
