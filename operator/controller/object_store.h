#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "nlohmann/json.hpp"
#include "operator/base/mutex.h"
#include "operator/controller/reconciler.h"

namespace grapevine::controller {

// One object as the API server last showed it. Shared and never changed.
using Object = std::shared_ptr<const nlohmann::json>;

// namespace and name from the metadata.
Request KeyOf(const nlohmann::json& object);
// "" where there is none.
std::string UidOf(const nlohmann::json& object);
std::string ResourceVersionOf(const nlohmann::json& object);
// The UID of the owner reference with controller: true.
std::string ControllerUidOf(const nlohmann::json& object);

// What changed for one name; `before` is null for what is new, `now` for what is gone. Both are set
// and have different UIDs when an object was deleted and made anew unseen.
struct ObjectChange {
  Object before;
  Object now;
};

// The last seen state of one resource, by name, with indexes by the controlling owner's UID and, of
// objects that nobody controls, by the value of one label. Reads never touch the network and may be
// stale. Cost of a lookup: logarithmic, plus decoding what it finds, some microseconds a pod:
// objects are held as CBOR, which is a fifth of the size of a JSON tree. Thread-safe.
class ObjectStore {
 public:
  // `indexed_label`: the key of the label that Orphans finds by; empty for none.
  explicit ObjectStore(std::string indexed_label = "");

  // Null when there is none.
  Object Get(const Request& key) const;
  // All, in the order of namespace and name.
  std::vector<Object> List() const;
  // Those whose controller has this UID, in the order of namespace and name.
  std::vector<Object> OwnedBy(const std::string& uid) const;
  // Those that nobody controls and whose indexed label has this value, in the same order.
  std::vector<Object> Orphans(const std::string& value) const;
  size_t size() const;

  ObjectChange Put(nlohmann::json object);
  // A change without `before` when there was none.
  ObjectChange Erase(const Request& key);
  // Makes the store hold exactly `objects`, all of `name_space` if that is not empty, which then is
  // the only one that changes; returns what that changed, what is gone first.
  std::vector<ObjectChange> Replace(std::vector<nlohmann::json> objects,
                                    const std::string& name_space = "");

 private:
  using Bytes = std::vector<uint8_t>;  // of one object, as CBOR
  struct ByName {
    bool operator()(const Request* a, const Request* b) const { return *a < *b; }
  };
  // Of keys of objects_.
  using Index = std::map<std::string, std::set<const Request*, ByName>>;

  ObjectChange PutLocked(nlohmann::json object) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  ObjectChange EraseLocked(const Request& key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // `key`: that of objects_ itself.
  void IndexLocked(const Request& key, const nlohmann::json& object, bool add)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::vector<Object> FoundLocked(const Index& index, const std::string& value) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string indexed_label_;

  mutable Mutex mutex_;
  std::map<Request, Bytes> objects_ ABSL_GUARDED_BY(mutex_);
  Index by_owner_ ABSL_GUARDED_BY(mutex_);
  Index orphans_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace grapevine::controller
