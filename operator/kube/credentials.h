#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "operator/base/clock.h"
#include "operator/base/mutex.h"
#include "operator/kube/kubeconfig.h"

namespace grapevine::kube {

// What a client shows the server now. PEM texts; empty for none.
struct Identity {
  std::string authority;
  std::string certificate;
  std::string key;
  std::string token;
  // Changes when one of the three texts of TLS does: connections made before show the old ones.
  uint64_t tls_version = 0;
};

// Runs the plugin with KUBERNETES_EXEC_INFO set to `info` and returns what it printed; must end
// within kPluginLimit.
using RunPlugin =
    std::function<absl::StatusOr<std::string>(const ExecPlugin& plugin, const std::string& info)>;
inline constexpr Duration kPluginLimit = 30s;

// Keeps an Access's credentials fresh: files are read again every 50 s (a token that a kubelet
// rotates has an hour), an exec plugin runs again when what it printed has expired or the server
// says so. A file that cannot be read leaves what was there before. Thread-safe; a plugin runs on
// the thread that asks, while others wait.
class Credentials {
 public:
  static constexpr Duration kReread = 50s;

  // `clock` must outlive it.
  Credentials(Access access, const Clock* clock, RunPlugin run_plugin);

  // NotFound or Unauthenticated when there is nothing to show that should be there.
  absl::StatusOr<Identity> Get();
  // The server refused `token` (401): the next Get asks again, unless that was done meanwhile. True
  // when it may come out differently.
  bool OnUnauthorized(const std::string& token);

 private:
  absl::Status ReadFilesLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status RunPluginLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Access access_;
  const Clock* const clock_;
  const RunPlugin run_plugin_;

  Mutex mutex_;
  Identity identity_ ABSL_GUARDED_BY(mutex_);
  std::optional<Time> read_at_ ABSL_GUARDED_BY(mutex_);
  bool plugin_ran_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<std::chrono::system_clock::time_point> expires_ ABSL_GUARDED_BY(mutex_);
};

// What a plugin printed, an ExecCredential of `api_version`. Pure.
struct PluginAnswer {
  std::string token;
  std::string certificate;
  std::string key;
  std::optional<std::chrono::system_clock::time_point> expires;
};
absl::StatusOr<PluginAnswer> ReadPluginAnswer(const std::string& text,
                                              const std::string& api_version);

}  // namespace grapevine::kube
