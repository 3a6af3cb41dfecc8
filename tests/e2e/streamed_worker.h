#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "operator/base/mutex.h"
#include "tests/simulation/imitated_worker.h"

namespace grapevine::e2e {

// Where the hub is now. `life` counts the operators that there were; an empty address: none runs.
struct HubPlace {
  std::string address;
  int life = 0;
};

// An imitated worker on a gRPC stream to the hub, which it opens again for as long as it lives.
// Thread-safe.
class StreamedWorker {
 public:
  // `place` is asked before each try; `may_train` before each batch. Both on the worker's threads.
  StreamedWorker(simulation::ImitatedWorker::Pod pod, std::function<HubPlace()> place,
                 std::function<bool()> may_train);
  // Ends it as SIGKILL would.
  ~StreamedWorker();

  // It was told to end.
  bool stopped() const;

 private:
  void Run(const std::stop_token& stop);
  void Session(const HubPlace& place, const std::stop_token& stop);

  const std::function<HubPlace()> place_;
  const std::function<bool()> may_train_;
  mutable Mutex mutex_;
  simulation::ImitatedWorker worker_ ABSL_GUARDED_BY(mutex_);
  std::jthread thread_;
};

}  // namespace grapevine::e2e
