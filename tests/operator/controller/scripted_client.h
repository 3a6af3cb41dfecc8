#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "operator/base/mutex.h"
#include "operator/controller/api_client.h"

namespace grapevine::controller {

// A server of which the test says what each list answers, and into whose watches it puts events. An
// unexpected list waits for its answer. Thread-safe.
class ScriptedClient final : public ApiClient {
 public:
  using Answer = absl::StatusOr<nlohmann::json>;

  static nlohmann::json ListOf(const std::string& version, std::vector<nlohmann::json> items) {
    return {{"metadata", {{"resourceVersion", version}}}, {"items", std::move(items)}};
  }
  static nlohmann::json Object(const std::string& name, const std::string& version,
                               const std::string& uid = "u") {
    return {
        {"metadata",
         {{"namespace", "default"}, {"name", name}, {"uid", uid}, {"resourceVersion", version}}}};
  }
  static WatchEvent Ended(int code) { return {WatchEvent::Type::kError, {{"code", code}}}; }

  void AnswerList(Answer answer) {
    MutexLock lock(mutex_);
    answers_.push_back(std::move(answer));
    changed_.NotifyAll();
  }
  // Waits until a watch is open and calls it from this thread.
  void Send(const WatchEvent& event) {
    std::function<void(WatchEvent)> on_event;
    {
      MutexLock lock(mutex_);
      while (on_event_ == nullptr) changed_.Wait(mutex_);
      on_event = on_event_;
      if (event.type == WatchEvent::Type::kError) on_event_ = nullptr;
    }
    on_event(event);
  }
  // Waits for the n-th opening of a watch; from which version it was.
  std::string VersionOfWatch(size_t n) {
    MutexLock lock(mutex_);
    while (opened_.size() < n) changed_.Wait(mutex_);
    return opened_[n - 1];
  }
  // The versions that the lists asked for, in their order.
  std::vector<std::string> listed_from() {
    MutexLock lock(mutex_);
    return listed_from_;
  }
  int lists() {
    MutexLock lock(mutex_);
    return lists_;
  }

  Answer List(const Resource&, std::string_view, const ListOptions& options) override {
    MutexLock lock(mutex_);
    listed_from_.push_back(options.resource_version);
    while (answers_.empty()) changed_.Wait(mutex_);
    ++lists_;
    Answer answer = std::move(answers_.front());
    answers_.pop_front();
    return answer;
  }
  absl::StatusOr<std::unique_ptr<Watch>> OpenWatch(
      const Resource&, std::string_view, const WatchOptions& options,
      std::function<void(WatchEvent)> on_event) override {
    MutexLock lock(mutex_);
    on_event_ = std::move(on_event);
    opened_.push_back(options.resource_version);
    changed_.NotifyAll();
    return std::make_unique<OpenedWatch>(this);
  }

  Answer Get(const Resource&, std::string_view, std::string_view) override { return Unused(); }
  Answer Create(const Resource&, const nlohmann::json&) override { return Unused(); }
  Answer Patch(const Resource&, std::string_view, std::string_view,
               const nlohmann::json&) override {
    return Unused();
  }
  Answer Apply(const Resource&, const nlohmann::json&) override { return Unused(); }
  Answer Update(const Resource&, const nlohmann::json&) override { return Unused(); }
  Answer UpdateStatus(const Resource&, const nlohmann::json&) override { return Unused(); }
  absl::Status Delete(const Resource&, std::string_view, std::string_view,
                      const DeleteOptions&) override {
    return Unused();
  }

 private:
  struct OpenedWatch final : Watch {
    explicit OpenedWatch(ScriptedClient* client) : client(client) {}
    ~OpenedWatch() override {
      MutexLock lock(client->mutex_);
      client->on_event_ = nullptr;
    }
    ScriptedClient* const client;
  };

  static absl::Status Unused() { return absl::UnimplementedError("not scripted"); }

  Mutex mutex_;
  CondVar changed_;
  std::deque<Answer> answers_ ABSL_GUARDED_BY(mutex_);
  std::function<void(WatchEvent)> on_event_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> opened_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> listed_from_ ABSL_GUARDED_BY(mutex_);
  int lists_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace grapevine::controller
