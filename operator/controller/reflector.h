#pragma once

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "nlohmann/json.hpp"
#include "operator/base/clock.h"
#include "operator/base/mutex.h"
#include "operator/controller/api_client.h"
#include "operator/controller/list_watch_state.h"

namespace grapevine::controller {

struct ReflectorOptions {
  Resource resource;
  std::string name_space;
  std::string selector;
  uint64_t seed = 1;
  std::function<void(nlohmann::json&)> trim;                   // see ListOptions; of events too
  std::function<void(std::vector<nlohmann::json>)> on_listed;  // all there is
  std::function<void(WatchEvent)> on_event;                    // neither kBookmark nor kError
};

// Keeps a copy of one resource elsewhere up to date, on a thread of its own: lists, watches from
// there, and begins again as ListWatchState says. Its two functions are called one at a time, from
// that thread or from the client's. Thread-safe.
class Reflector {
 public:
  // `client` and `clock` must outlive the reflector.
  Reflector(ApiClient* client, const Clock* clock, ReflectorOptions options);
  ~Reflector();

  // REQUIRES: called once.
  void Start();
  // No function of the options runs after it returned. Waits for a list under way.
  void Stop();

 private:
  void Run();
  void WaitUntil(Time deadline);
  void List();
  void WatchOnce();
  void OnWatchEvent(WatchEvent event);

  ApiClient* const client_;
  const Clock* const clock_;
  const ReflectorOptions options_;

  Mutex mutex_;
  CondVar changed_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  bool watch_ended_ ABSL_GUARDED_BY(mutex_) = false;
  int end_code_ ABSL_GUARDED_BY(mutex_) = 0;
  Duration retry_after_ ABSL_GUARDED_BY(mutex_){};
  ListWatchState state_ ABSL_GUARDED_BY(mutex_);

  std::thread thread_;  // set by Start, joined by Stop
};

}  // namespace grapevine::controller
