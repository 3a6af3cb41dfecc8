#include "operator/controller/event_recorder.h"

#include <utility>

#include "operator/base/backoff.h"
#include "operator/base/log.h"

namespace grapevine::controller {
namespace {

const Resource kEvents{"events.k8s.io", "v1", "events"};
constexpr BackoffOptions kBackoff{.initial = 500ms, .factor = 2, .max = 30s, .jitter = 0.5};

bool IsWorthAnotherTry(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsResourceExhausted(status);
}

}  // namespace

EventRecorder::EventRecorder(ApiClient* client, const Clock* clock, EventRecorderOptions options)
    : client_(client),
      clock_(clock),
      options_(std::move(options)),
      series_(options_.seed),
      rng_(options_.seed),
      thread_([this] { Run(); }) {}

EventRecorder::~EventRecorder() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    give_up_at_ = clock_->Now() + kFlush;
    changed_.NotifyAll();
  }
  thread_.join();
}

void EventRecorder::Record(Event event) {
  MutexLock lock(mutex_);
  if (queue_.size() >= kMaxQueued) {
    ++dropped_;
    return;
  }
  queue_.push_back(std::move(event));
  changed_.NotifyAll();
}

void EventRecorder::Run() {
  Event event;
  while (TakeNext(event)) {
    if (const auto write =
            series_.Add(std::move(event), clock_->Now(), std::chrono::system_clock::now())) {
      Write(*write);
    }
    for (const EventWrite& write : series_.TakeDue(clock_->Now(), false)) Write(write);
  }
  for (const EventWrite& write : series_.TakeDue(clock_->Now(), true)) Write(write);
}

// False once there is nothing left to take and it is time to end.
bool EventRecorder::TakeNext(Event& event) {
  MutexLock lock(mutex_);
  while (queue_.empty() && !stopping_) changed_.Wait(mutex_);
  if (dropped_ > 0) LogWarn("{} events are dropped: the API server is slower", dropped_);
  dropped_ = 0;
  if (queue_.empty()) return false;
  event = std::move(queue_.front());
  queue_.pop_front();
  return true;
}

void EventRecorder::Write(const EventWrite& write) {
  absl::Status status;
  for (int i = 0; i < kMostTries; ++i) {
    status = TryWrite(write);
    if (!IsWorthAnotherTry(status) || Stopping()) break;
    WaitFor(Backoff(kBackoff, i, rng_));
  }
  if (!status.ok()) {
    LogWarn("the event {} of {} is dropped: {}", write.event.reason, write.event.regarding.name,
            std::string(status.message()));
  }
}

absl::Status EventRecorder::TryWrite(const EventWrite& write) {
  {
    MutexLock lock(mutex_);
    if (stopping_ && clock_->Now() >= give_up_at_) return absl::CancelledError("it is ending");
  }
  if (write.count > 1) {
    const absl::Status patched =
        client_->Patch(kEvents, write.event.regarding.name_space, write.name, SeriesPatch(write))
            .status();
    if (!absl::IsNotFound(patched)) return patched;
    // The server keeps events for an hour.
  }
  const absl::Status created =
      client_->Create(kEvents, ToJson(write, options_.controller, options_.instance)).status();
  return absl::IsAlreadyExists(created) ? absl::OkStatus() : created;
}

bool EventRecorder::Stopping() const {
  MutexLock lock(mutex_);
  return stopping_;
}

void EventRecorder::WaitFor(Duration pause) {
  const Time until = clock_->Now() + pause;
  MutexLock lock(mutex_);
  while (!stopping_ && clock_->Now() < until) changed_.WaitUntil(mutex_, until);
}

}  // namespace grapevine::controller
