#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace grapevine::controller {

// Which collection of the API server: {"grapevine.dev", "v1alpha1", "trainingjobs"} or, for the
// core group, {"", "v1", "pods"}.
struct Resource {
  std::string group;
  std::string version;
  std::string plural;

  bool operator==(const Resource&) const = default;
};

struct WatchEvent {
  enum class Type { kAdded, kModified, kDeleted, kBookmark, kError };
  Type type;
  nlohmann::json object;  // the object; for kError a Status
};

// An open watch. Destroying it ends it: once the destructor has returned no call of its callback
// runs or begins, save the one that destroyed it. Thread-compatible.
class Watch {
 public:
  virtual ~Watch() = default;
};

struct WatchOptions {
  std::string selector;  // labels, as in kubectl -l; empty for all
  std::string
      resource_version;  // events after it; empty for "from now, with what is there as ADDED"
};

struct DeleteOptions {
  std::string uid;                // precondition; empty for none
  int grace_period_seconds = -1;  // -1: the object's own
};

// The seven verbs of the Kubernetes API on JSON objects, which carry apiVersion, kind and metadata.
// Implemented by operator/local (in memory, for `grapevine run` and tests) and by operator/kube.
//
// Errors by code, which decides what to do: NotFound; AlreadyExists (Create); Aborted (conflict:
// read again); InvalidArgument (422: never try again); OutOfRange (410: list again); Unavailable
// and DeadlineExceeded (try again later); ResourceExhausted (quota, 429); PermissionDenied.
// Thread-safe.
class ApiClient {
 public:
  virtual ~ApiClient() = default;

  virtual absl::StatusOr<nlohmann::json> Get(const Resource&, std::string_view name_space,
                                             std::string_view name) = 0;
  // A List object: metadata.resourceVersion and items. Empty namespace: all of them.
  virtual absl::StatusOr<nlohmann::json> List(const Resource&, std::string_view name_space,
                                              std::string_view selector) = 0;
  virtual absl::StatusOr<nlohmann::json> Create(const Resource&, const nlohmann::json& object) = 0;
  // Needs metadata.resourceVersion; writes everything but status.
  virtual absl::StatusOr<nlohmann::json> Update(const Resource&, const nlohmann::json& object) = 0;
  // The same for status alone.
  virtual absl::StatusOr<nlohmann::json> UpdateStatus(const Resource&,
                                                      const nlohmann::json& object) = 0;
  // Graceful where the kind is (pods): deletionTimestamp first, gone when its owner says so.
  virtual absl::Status Delete(const Resource&, std::string_view name_space, std::string_view name,
                              const DeleteOptions& options) = 0;
  // Calls `on_event` in order, one call at a time, on a thread of the client's; it must return
  // soon. The last event of a watch that the server ended is kError; a Status without a code
  // says that it ended in order.
  virtual absl::StatusOr<std::unique_ptr<Watch>> OpenWatch(
      const Resource&, std::string_view name_space, const WatchOptions& options,
      std::function<void(const WatchEvent&)> on_event) = 0;
};

}  // namespace grapevine::controller
