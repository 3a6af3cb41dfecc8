#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "operator/base/mutex.h"
#include "operator/controller/api_client.h"
#include "operator/controller/object_store.h"
#include "operator/local/label_selector.h"

namespace grapevine::local {

struct ApiServerOptions {
  size_t history = 4096;  // changes that a watch may be behind before it is told 410
};

// The Kubernetes API in memory, for `grapevine run` and for tests: what controllers rely on, and no
// more. Kept as a real server does it:
//   - each change has a version of its own, from one count for all resources; a write of an older
//     version is a conflict, a write that changes nothing is no change;
//   - every resource has a status subresource, which Create and Update leave alone;
//     metadata.generation counts the changes of anything but metadata and status;
//   - a pod gets its node by a Binding, once;
//   - one that has a node or left phase Pending, and has not finished, is deleted gracefully:
//     deletionTimestamp first, gone by a Delete with a grace period of 0;
//   - an object with finalizers stays, with a deletionTimestamp, until the last one is taken off;
//   - what belongs to an object goes with it, or as soon as it is made for one that is gone.
// Not kept: schemas, defaults, admission, pages, bookmarks, set-based selectors, and more than one
// owner of fields: whoever calls Apply is the same one, and lists are one field.
// A metadata.uid that is given to Create is kept, where a server would always draw one: so a job
// can go on under its old one. Nothing outlives the server; its watches must be closed before it.
// Thread-safe.
class ApiServer final : public controller::ApiClient {
 public:
  explicit ApiServer(const ApiServerOptions& options = {});
  ~ApiServer() override;

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
  using Object = controller::Object;
  using Objects = std::map<controller::Request, Object>;
  // Group and plural: every version of a resource is the same objects.
  using Collection = std::pair<std::string, std::string>;

  // One change. `before` is null for a creation, `now` for a removal; `last` is what a watch is
  // shown.
  struct Change {
    Collection collection;
    Object before;
    Object now;
    Object last;
  };
  // Guarded by mutex_, but for on_event, which only the dispatcher calls.
  struct Watcher {
    Collection collection;
    std::string name_space;
    LabelSelector selector;
    std::function<void(controller::WatchEvent)> on_event;
    std::deque<Object> initial;  // told as added before any change
    uint64_t seen = 0;           // version of the last change looked at
    bool ended = false;
    bool in_call = false;
  };
  class OpenedWatch;

  absl::StatusOr<Object> FindLocked(const Collection& collection,
                                    const controller::Request& key) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<nlohmann::json> Bind(const std::string& pod, const nlohmann::json& binding);
  absl::StatusOr<Object> FindToWriteLocked(const controller::Resource& resource,
                                           const nlohmann::json& object) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsOrphanLocked(const nlohmann::json& object) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Object StoreLocked(const Collection& collection, nlohmann::json object)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Everything but status; `found` is what is there.
  nlohmann::json ReplaceLocked(const Collection& collection, const Object& found,
                               nlohmann::json now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RemoveLocked(const Collection& collection, const controller::Request& key)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DeleteLocked(const Collection& collection, const controller::Request& key,
                    int grace_period_seconds) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CollectGarbageLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RecordLocked(Change change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  void Dispatch();
  bool NextEventLocked(Watcher& watcher, controller::WatchEvent& event)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const ApiServerOptions options_;

  Mutex mutex_;
  CondVar changed_;     // of work_ and stopped_
  CondVar call_ended_;  // of some watcher's in_call
  std::map<Collection, Objects> collections_ ABSL_GUARDED_BY(mutex_);
  // What was applied last, by the object's UID.
  std::map<std::string, nlohmann::json> applied_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> uids_ ABSL_GUARDED_BY(mutex_);  // of all objects
  std::deque<Change> history_ ABSL_GUARDED_BY(mutex_);  // versions forgotten_ + 1 ... version_
  uint64_t forgotten_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t version_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::shared_ptr<Watcher>> watchers_ ABSL_GUARDED_BY(mutex_);
  bool work_ ABSL_GUARDED_BY(mutex_) = false;  // the dispatcher has something to look at
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread dispatcher_;  // calls all watchers
};

}  // namespace grapevine::local
