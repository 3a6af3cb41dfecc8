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
// core group, {"", "v1", "pods"}. Create also takes {"", "v1", "pods/NAME/binding"}, by which a pod
// that has no node yet gets one. An object without a namespace is one of "default", unless its kind
// has none.
struct Resource {
  std::string group;
  std::string version;
  std::string plural;
  bool cluster_wide = false;  // its objects have no namespace: nodes, tokenreviews

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

struct ListOptions {
  std::string selector;  // labels, as in kubectl -l; empty for all
  // Empty: the newest there is. "0": whatever the server has at hand, which may be old. Else:
  // nothing older than it.
  std::string resource_version;
  // Applied to each item as soon as it is read, so that a long list is never in memory whole. Empty
  // for none.
  std::function<void(nlohmann::json&)> trim;
};

struct WatchOptions {
  std::string selector;  // labels, as in kubectl -l; empty for all
  // Events after it; empty: from now, with what is there as ADDED.
  std::string resource_version;
};

struct DeleteOptions {
  std::string uid;                // precondition; empty for none
  int grace_period_seconds = -1;  // -1: the object's own
};

// The verbs of the Kubernetes API on JSON objects, which carry apiVersion, kind and metadata.
// Implemented by operator/local (in memory, for `grapevine run` and tests) and by operator/kube.
//
// Errors by code, which decides what to do: NotFound; AlreadyExists (Create); Aborted (conflict:
// read again); InvalidArgument (422: never try again); OutOfRange (410: list again); Unavailable
// and DeadlineExceeded (try again later); ResourceExhausted (quota, 429); PermissionDenied;
// Unauthenticated. ApiErrorOf of api_error.h has the rest of what a server said. Thread-safe.
class ApiClient {
 public:
  virtual ~ApiClient() = default;

  virtual absl::StatusOr<nlohmann::json> Get(const Resource&, std::string_view name_space,
                                             std::string_view name) = 0;
  // A List object: metadata.resourceVersion and items. Empty namespace: all of them.
  virtual absl::StatusOr<nlohmann::json> List(const Resource&, std::string_view name_space,
                                              const ListOptions& options) = 0;
  virtual absl::StatusOr<nlohmann::json> Create(const Resource&, const nlohmann::json& object) = 0;
  // Needs metadata.resourceVersion; writes everything but status.
  virtual absl::StatusOr<nlohmann::json> Update(const Resource&, const nlohmann::json& object) = 0;
  // The same for status alone.
  virtual absl::StatusOr<nlohmann::json> UpdateStatus(const Resource&,
                                                      const nlohmann::json& object) = 0;
  // A JSON merge patch (RFC 7396) of everything but status. With metadata.uid or
  // metadata.resourceVersion in it: Aborted when the object has another.
  virtual absl::StatusOr<nlohmann::json> Patch(const Resource&, std::string_view name_space,
                                               std::string_view name,
                                               const nlohmann::json& patch) = 0;
  // Server-side apply, with force: makes the object, or gives the fields named here these values
  // and takes away those that an earlier Apply named and this one does not. Never status.
  virtual absl::StatusOr<nlohmann::json> Apply(const Resource&, const nlohmann::json& object) = 0;
  // Graceful where the kind is (pods): deletionTimestamp first, gone when its owner says so.
  virtual absl::Status Delete(const Resource&, std::string_view name_space, std::string_view name,
                              const DeleteOptions& options) = 0;
  // Calls `on_event` in order, one call at a time, on a thread of the client's; it must return
  // soon. The last event of a watch that the server ended is kError; a Status without a code
  // says that it ended in order.
  virtual absl::StatusOr<std::unique_ptr<Watch>> OpenWatch(
      const Resource&, std::string_view name_space, const WatchOptions& options,
      std::function<void(WatchEvent)> on_event) = 0;
};

}  // namespace grapevine::controller
