#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "nlohmann/json.hpp"
#include "operator/base/clock.h"
#include "operator/base/mutex.h"
#include "operator/controller/api_client.h"
#include "operator/controller/object_store.h"

namespace grapevine::controller {

class Reflector;

struct InformerOptions {
  Resource resource;
  std::set<std::string> name_spaces;  // each is listed and watched by itself; empty: all at once
  std::string selector;               // labels; empty: all
  std::string indexed_label;          // see ObjectStore
  // Takes off each object what nobody reads, before it is kept. Must leave metadata's namespace,
  // name, uid, resourceVersion, ownerReferences and the indexed label. Empty for none.
  std::function<void(nlohmann::json&)> trim;
  uint64_t seed = 1;  // of the jitter between attempts
};

// A live copy of one resource: an ObjectStore kept up to date by list and watch, and the news of
// each change. What the store says is always something that the server once said, and it ends up at
// what the server says last; between the two, changes may be seen as one, and a deletion may show
// an old last state. Own writes are not there at once. Thread-safe.
class Informer {
 public:
  // `client` and `clock` must outlive the informer.
  Informer(ApiClient* client, const Clock* clock, InformerOptions options);
  ~Informer();

  // `subscriber` is called after the store has the change, one call at a time, and must return
  // soon: as a rule it adds a name to a queue. REQUIRES: not started.
  void Subscribe(std::function<void(const ObjectChange&)> subscriber);

  void Start();
  // Ends list and watch; the store keeps what it has. No subscriber runs after it returned.
  void Stop();

  // The first lists are in the store and all subscribers were told.
  bool HasSynced() const;
  // Waits for it; false when `deadline` passed first.
  bool WaitForSync(Time deadline);

  const ObjectStore& store() const { return store_; }

 private:
  void OnListed(std::vector<nlohmann::json> objects, const std::string& name_space);
  void OnEvent(WatchEvent event);
  void Tell(const ObjectChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(telling_);

  ObjectStore store_;
  Mutex telling_;         // held from the change of the store until all subscribers know it
  bool started_ = false;  // set by Start
  std::vector<std::function<void(const ObjectChange&)>> subscribers_;  // fixed by Start
  std::vector<std::unique_ptr<Reflector>> reflectors_;                 // one for each namespace

  mutable Mutex mutex_;
  CondVar synced_changed_;
  std::set<std::string> unlisted_ ABSL_GUARDED_BY(mutex_);  // namespaces
};

}  // namespace grapevine::controller
