#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "operator/api/labels.h"
#include "operator/base/mutex.h"
#include "operator/controller/api_client.h"
#include "operator/controller/object_store.h"

namespace grapevine::conformance {

// A server for one test; its client goes with it.
struct ServedClient {
  std::shared_ptr<void> server;
  controller::ApiClient* client = nullptr;
  std::string name_space = "default";  // of this test alone
};

struct ApiClientFactory {
  std::string name;
  std::function<ServedClient()> make;
};

// What a watch was told, as "+name", "*name", "-name" and "!code". Thread-safe.
class Heard {
 public:
  std::function<void(controller::WatchEvent)> Listener() {
    return [this](const controller::WatchEvent& event) { Hear(event); };
  }

  // Waits until at least `count` were heard, or the watch has ended.
  std::vector<std::string> WaitFor(size_t count) {
    MutexLock lock(mutex_);
    while (lines_.size() < count && (lines_.empty() || lines_.back()[0] != '!'))
      changed_.Wait(mutex_);
    return lines_;
  }
  std::vector<nlohmann::json> objects() {
    MutexLock lock(mutex_);
    return objects_;
  }

 private:
  void Hear(const controller::WatchEvent& event) {
    using Type = controller::WatchEvent::Type;
    if (event.type == Type::kBookmark) return;
    const std::string name = controller::KeyOf(event.object).name;
    std::string line;
    switch (event.type) {
      case Type::kAdded:
        line = "+" + name;
        break;
      case Type::kModified:
        line = "*" + name;
        break;
      case Type::kDeleted:
        line = "-" + name;
        break;
      default:
        line = "!" + std::to_string(event.object.value("code", 0));
    }
    MutexLock lock(mutex_);
    lines_.push_back(line);
    objects_.push_back(event.object);
    changed_.NotifyAll();
  }

  Mutex mutex_;
  CondVar changed_;
  std::vector<std::string> lines_ ABSL_GUARDED_BY(mutex_);
  std::vector<nlohmann::json> objects_ ABSL_GUARDED_BY(mutex_);
};

// What every ApiClient must do, whatever serves it: see api_client_suite.cc.
class ApiClientSuite : public ::testing::TestWithParam<ApiClientFactory> {
 protected:
  ApiClientSuite()
      : served_(GetParam().make()), client_(*served_.client), ns_(served_.name_space) {}

  nlohmann::json Job(const std::string& name,
                     nlohmann::json labels = nlohmann::json::object()) const {
    return {{"apiVersion", api::kApiVersion},
            {"kind", api::kTrainingJobKind},
            {"metadata", {{"name", name}, {"namespace", ns_}, {"labels", std::move(labels)}}},
            {"spec", {{"training", {{"model", "mlp"}, {"dataset", {{"name", "digits"}}}}}}}};
  }
  nlohmann::json Pod(const std::string& name) const {
    return {{"apiVersion", "v1"},
            {"kind", "Pod"},
            {"metadata", {{"name", name}, {"namespace", ns_}}},
            {"spec", {{"containers", {{{"name", "worker"}, {"image", "worker"}}}}}}};
  }

  ServedClient served_;
  controller::ApiClient& client_;
  const std::string ns_;
};

}  // namespace grapevine::conformance
