#pragma once

#include <cstdint>
#include <deque>
#include <random>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "operator/base/clock.h"
#include "operator/base/mutex.h"
#include "operator/controller/api_client.h"
#include "operator/controller/event_series.h"

namespace grapevine::controller {

struct EventRecorderOptions {
  std::string controller;  // reportingController: grapevine.dev/operator
  std::string instance;    // reportingInstance: which of its processes
  uint64_t seed = 1;       // of the events' names and of the jitter between tries
};

// Writes events (events.k8s.io/v1) on a thread of its own, so that whoever records one never waits.
// What does not fit into its queue, or cannot be written after kMostTries, is dropped: events are
// news, nothing relies on them. See EventSeries for what is written of those that repeat.
// Thread-safe.
class EventRecorder {
 public:
  static constexpr size_t kMaxQueued = 1000;
  static constexpr int kMostTries = 12;

  // `client` and `clock` must outlive it.
  EventRecorder(ApiClient* client, const Clock* clock, EventRecorderOptions options);
  // Tries once to write what is queued, for at most kFlush, and ends.
  ~EventRecorder();

  void Record(Event event);

  static constexpr Duration kFlush = 2s;

 private:
  void Run();
  bool TakeNext(Event& event);
  void Write(const EventWrite& write);
  absl::Status TryWrite(const EventWrite& write);
  bool Stopping() const;
  void WaitFor(Duration pause);

  ApiClient* const client_;
  const Clock* const clock_;
  const EventRecorderOptions options_;

  mutable Mutex mutex_;
  CondVar changed_;
  std::deque<Event> queue_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  Time give_up_at_ ABSL_GUARDED_BY(mutex_){};
  int64_t dropped_ ABSL_GUARDED_BY(mutex_) = 0;

  EventSeries series_;  // of the thread alone, as is all below
  std::mt19937_64 rng_;
  std::thread thread_;
};

}  // namespace grapevine::controller
