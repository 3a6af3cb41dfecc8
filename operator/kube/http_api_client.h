#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "operator/base/clock.h"
#include "operator/base/mutex.h"
#include "operator/controller/api_client.h"
#include "operator/controller/api_error.h"
#include "operator/controller/probe.h"
#include "operator/kube/credentials.h"
#include "operator/kube/https.h"
#include "operator/kube/kubeconfig.h"

namespace grapevine::kube {

struct HttpApiClientOptions {
  Duration silence = 30s;  // without a byte, until a call is given up; a watch has its own
  RunPlugin run_plugin;
  controller::RequestProbe* probe = nullptr;  // may be null
};

// The ApiClient of a real API server. A call blocks until it is answered; a watch has a thread of
// its own. What may be done again is: a GET whose connection broke, and anything that the server
// answers with Retry-After, up to kMostTries times and for 30 s; a call that was answered 401 once
// more, with fresh credentials. Thread-safe.
class HttpApiClient final : public controller::ApiClient {
 public:
  static constexpr int kMostTries = 10;
  static constexpr int kPage = 500;  // items of a list that must be the newest

  // `clock` and the probe must outlive it; it must outlive its watches.
  HttpApiClient(const Access& access, const Clock* clock, HttpApiClientOptions options);
  ~HttpApiClient() override;

  absl::StatusOr<nlohmann::json> Get(const controller::Resource& resource,
                                     std::string_view name_space, std::string_view name) override;
  absl::StatusOr<nlohmann::json> List(const controller::Resource& resource,
                                      std::string_view name_space,
                                      const controller::ListOptions& options) override;
  absl::StatusOr<nlohmann::json> Create(const controller::Resource& resource,
                                        const nlohmann::json& object) override;
  absl::StatusOr<nlohmann::json> Update(const controller::Resource& resource,
                                        const nlohmann::json& object) override;
  absl::StatusOr<nlohmann::json> UpdateStatus(const controller::Resource& resource,
                                              const nlohmann::json& object) override;
  absl::StatusOr<nlohmann::json> Patch(const controller::Resource& resource,
                                       std::string_view name_space, std::string_view name,
                                       const nlohmann::json& patch) override;
  absl::StatusOr<nlohmann::json> Apply(const controller::Resource& resource,
                                       const nlohmann::json& object) override;
  absl::Status Delete(const controller::Resource& resource, std::string_view name_space,
                      std::string_view name, const controller::DeleteOptions& options) override;
  absl::StatusOr<std::unique_ptr<controller::Watch>> OpenWatch(
      const controller::Resource& resource, std::string_view name_space,
      const controller::WatchOptions& options,
      std::function<void(controller::WatchEvent)> on_event) override;

 private:
  class WatchReader;
  class OpenedWatch;

  // In pages of so many items; 0: all at once.
  absl::StatusOr<nlohmann::json> ListPages(const controller::Resource& resource,
                                           std::string_view name_space,
                                           const controller::ListOptions& options, int page);

  // `reset`, if any, is called before each try after the first: the body comes anew.
  absl::Status Call(const HttpRequest& request, const OnBody& on_body,
                    const std::function<void()>& reset = {});
  absl::StatusOr<nlohmann::json> CallForObject(const HttpRequest& request);
  // One try, or two when the first was answered 401. What the server says against it is the error,
  // with its words and ApiError.
  absl::Status TryOnce(const HttpRequest& request, bool watch, const OnBody& on_body,
                       Cancellation* cancellation);
  absl::Status SendAs(const Identity& identity, HttpRequest request, bool watch,
                      const OnBody& on_body, Cancellation* cancellation);
  // Connections that show `identity`; new ones when it has changed.
  std::shared_ptr<Https> HttpsFor(const Identity& identity, bool watch);
  HttpRequest WatchRequest(const controller::Resource& resource, std::string_view name_space,
                           const controller::WatchOptions& options);
  int WatchSeconds();
  void OnReaderEnded();

  const Access access_;
  const Clock* const clock_;
  const HttpApiClientOptions options_;
  const std::string host_;
  Credentials credentials_;

  Mutex mutex_;
  uint64_t tls_version_ ABSL_GUARDED_BY(mutex_) = 0;
  std::shared_ptr<Https> calls_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<Https> watches_ ABSL_GUARDED_BY(mutex_);
  std::mt19937_64 rng_ ABSL_GUARDED_BY(mutex_);
  CondVar readers_ended_;
  int readers_ ABSL_GUARDED_BY(mutex_) = 0;  // threads of watches
};

}  // namespace grapevine::kube
