#include "operator/controller/reflector.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "operator/base/check.h"
#include "operator/base/log.h"
#include "operator/controller/object_store.h"

namespace grapevine::controller {
namespace {

using nlohmann::json;

int CodeOf(const json& status) {
  const auto code = status.find("code");
  return code != status.end() && code->is_number_integer() ? code->get<int>() : 0;
}

Duration RetryAfterOf(const json& status) {
  const auto details = status.find("details");
  if (details == status.end() || !details->is_object()) return {};
  const auto seconds = details->find("retryAfterSeconds");
  if (seconds == details->end() || !seconds->is_number_integer()) return {};
  return std::clamp<int64_t>(seconds->get<int64_t>(), 0, 3600) * 1s;
}

}  // namespace

Reflector::Reflector(ApiClient* client, const Clock* clock, ReflectorOptions options)
    : client_(client), clock_(clock), options_(std::move(options)), state_(options_.seed) {}

Reflector::~Reflector() { Stop(); }

void Reflector::Start() {
  GRAPEVINE_CHECK(!thread_.joinable());
  thread_ = std::thread([this] { Run(); });
}

void Reflector::Stop() {
  {
    MutexLock lock(mutex_);
    stopped_ = true;
    changed_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

void Reflector::Run() {
  while (true) {
    ListWatchState::Next next;
    {
      MutexLock lock(mutex_);
      if (stopped_) return;
      next = state_.NextStep(clock_->Now());
    }
    switch (next.step) {
      case ListWatchState::Step::kWait:
        WaitUntil(next.until);
        break;
      case ListWatchState::Step::kList:
        List();
        break;
      case ListWatchState::Step::kWatch:
        WatchOnce();
        break;
    }
  }
}

void Reflector::WaitUntil(Time deadline) {
  MutexLock lock(mutex_);
  while (!stopped_ && clock_->Now() < deadline) changed_.WaitUntil(mutex_, deadline);
}

void Reflector::List() {
  ListOptions options{.selector = options_.selector, .trim = options_.trim};
  {
    MutexLock lock(mutex_);
    options.resource_version = state_.list_version();
  }
  absl::StatusOr<json> list = client_->List(options_.resource, options_.name_space, options);
  const auto items = list.ok() ? list->find("items") : json::iterator();
  if (!list.ok() || items == list->end() || !items->is_array()) {
    LogWarn("cannot list {}: {}", options_.resource.plural,
            list.ok() ? "the answer has no items" : std::string(list.status().message()));
    MutexLock lock(mutex_);
    state_.OnListFailed(list.status(), clock_->Now());
    return;
  }
  std::string version = ResourceVersionOf(*list);
  options_.on_listed(std::move(items->get_ref<json::array_t&>()));
  MutexLock lock(mutex_);
  state_.OnListed(std::move(version));
}

void Reflector::WatchOnce() {
  WatchOptions options{.selector = options_.selector};
  {
    MutexLock lock(mutex_);
    watch_ended_ = false;
    options.resource_version = state_.resource_version();
    state_.OnWatchOpened(clock_->Now());
  }
  absl::StatusOr<std::unique_ptr<Watch>> watch =
      client_->OpenWatch(options_.resource, options_.name_space, options,
                         [this](WatchEvent event) { OnWatchEvent(std::move(event)); });
  if (!watch.ok()) {
    LogDebug("cannot watch {}: {}", options_.resource.plural, watch.status().ToString());
    MutexLock lock(mutex_);
    state_.OnWatchRefused(watch.status(), clock_->Now());
    return;
  }
  {
    MutexLock lock(mutex_);
    while (!stopped_ && !watch_ended_) changed_.Wait(mutex_);
  }
  watch->reset();
  MutexLock lock(mutex_);
  if (watch_ended_) state_.OnWatchEnded(end_code_, clock_->Now(), retry_after_);
}

void Reflector::OnWatchEvent(WatchEvent event) {
  if (event.type == WatchEvent::Type::kError) {
    MutexLock lock(mutex_);
    watch_ended_ = true;
    end_code_ = CodeOf(event.object);
    retry_after_ = RetryAfterOf(event.object);
    changed_.NotifyAll();
    return;
  }
  std::string version = ResourceVersionOf(event.object);
  if (event.type != WatchEvent::Type::kBookmark) {
    if (options_.trim) options_.trim(event.object);
    options_.on_event(std::move(event));
  }
  MutexLock lock(mutex_);
  state_.OnEvent(std::move(version));  // not before the event is in the cache
}

}  // namespace grapevine::controller
