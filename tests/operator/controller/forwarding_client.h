#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <utility>

#include "operator/controller/api_client.h"

namespace grapevine::controller {

// Passes every call on to another client; a test overrides those that it is about. Thread-safe if
// the other one is.
class ForwardingClient : public ApiClient {
 public:
  using Answer = absl::StatusOr<nlohmann::json>;

  explicit ForwardingClient(ApiClient& client) : client_(client) {}

  Answer Get(const Resource& resource, std::string_view name_space,
             std::string_view name) override {
    return client_.Get(resource, name_space, name);
  }
  Answer List(const Resource& resource, std::string_view name_space,
              const ListOptions& options) override {
    return client_.List(resource, name_space, options);
  }
  Answer Create(const Resource& resource, const nlohmann::json& object) override {
    return client_.Create(resource, object);
  }
  Answer Update(const Resource& resource, const nlohmann::json& object) override {
    return client_.Update(resource, object);
  }
  Answer UpdateStatus(const Resource& resource, const nlohmann::json& object) override {
    return client_.UpdateStatus(resource, object);
  }
  Answer Patch(const Resource& resource, std::string_view name_space, std::string_view name,
               const nlohmann::json& patch) override {
    return client_.Patch(resource, name_space, name, patch);
  }
  Answer Apply(const Resource& resource, const nlohmann::json& object) override {
    return client_.Apply(resource, object);
  }
  absl::Status Delete(const Resource& resource, std::string_view name_space, std::string_view name,
                      const DeleteOptions& options) override {
    return client_.Delete(resource, name_space, name, options);
  }
  absl::StatusOr<std::unique_ptr<Watch>> OpenWatch(
      const Resource& resource, std::string_view name_space, const WatchOptions& options,
      std::function<void(WatchEvent)> on_event) override {
    return client_.OpenWatch(resource, name_space, options, std::move(on_event));
  }

 private:
  ApiClient& client_;
};

}  // namespace grapevine::controller
