#include "operator/controller/object_store.h"

#include <utility>

namespace grapevine::controller {
namespace {

using nlohmann::json;

std::string MetadataString(const json& object, const char* key) {
  const auto metadata = object.find("metadata");
  if (metadata == object.end() || !metadata->is_object()) return "";
  const auto found = metadata->find(key);
  return found != metadata->end() && found->is_string() ? found->get<std::string>() : "";
}

std::string LabelOf(const json& object, const std::string& label) {
  const auto metadata = object.find("metadata");
  if (metadata == object.end() || !metadata->is_object()) return "";
  const auto labels = metadata->find("labels");
  if (labels == metadata->end() || !labels->is_object()) return "";
  const auto found = labels->find(label);
  return found != labels->end() && found->is_string() ? found->get<std::string>() : "";
}

Object Decode(const std::vector<uint8_t>& bytes) {
  return std::make_shared<const json>(json::from_cbor(bytes));
}

}  // namespace

Request KeyOf(const json& object) {
  return {MetadataString(object, "namespace"), MetadataString(object, "name")};
}

std::string UidOf(const json& object) { return MetadataString(object, "uid"); }

std::string ResourceVersionOf(const json& object) {
  return MetadataString(object, "resourceVersion");
}

std::string ControllerUidOf(const json& object) {
  const auto metadata = object.find("metadata");
  if (metadata == object.end() || !metadata->is_object()) return "";
  const auto owners = metadata->find("ownerReferences");
  if (owners == metadata->end() || !owners->is_array()) return "";
  for (const json& owner : *owners) {
    if (!owner.is_object()) continue;
    const auto controls = owner.find("controller");
    const auto uid = owner.find("uid");
    if (controls != owner.end() && *controls == true && uid != owner.end() && uid->is_string()) {
      return uid->get<std::string>();
    }
  }
  return "";
}

ObjectStore::ObjectStore(std::string indexed_label) : indexed_label_(std::move(indexed_label)) {}

Object ObjectStore::Get(const Request& key) const {
  MutexLock lock(mutex_);
  const auto found = objects_.find(key);
  return found == objects_.end() ? nullptr : Decode(found->second);
}

std::vector<Object> ObjectStore::List() const {
  MutexLock lock(mutex_);
  std::vector<Object> result;
  result.reserve(objects_.size());
  for (const auto& [key, bytes] : objects_) result.push_back(Decode(bytes));
  return result;
}

std::vector<Object> ObjectStore::OwnedBy(const std::string& uid) const {
  MutexLock lock(mutex_);
  return FoundLocked(by_owner_, uid);
}

std::vector<Object> ObjectStore::Orphans(const std::string& value) const {
  MutexLock lock(mutex_);
  return FoundLocked(orphans_, value);
}

size_t ObjectStore::size() const {
  MutexLock lock(mutex_);
  return objects_.size();
}

ObjectChange ObjectStore::Put(json object) {
  MutexLock lock(mutex_);
  return PutLocked(std::move(object));
}

ObjectChange ObjectStore::Erase(const Request& key) {
  MutexLock lock(mutex_);
  return EraseLocked(key);
}

std::vector<ObjectChange> ObjectStore::Replace(std::vector<json> objects,
                                               const std::string& name_space) {
  std::set<Request> kept;
  for (const json& object : objects) kept.insert(KeyOf(object));
  std::vector<ObjectChange> changes;
  MutexLock lock(mutex_);
  std::vector<Request> gone;
  for (const auto& [key, bytes] : objects_) {
    const bool replaced = name_space.empty() || key.name_space == name_space;
    if (replaced && !kept.contains(key)) gone.push_back(key);
  }
  for (const Request& key : gone) changes.push_back(EraseLocked(key));
  for (json& object : objects) {
    ObjectChange change = PutLocked(std::move(object));
    const bool same = change.before != nullptr && UidOf(*change.before) == UidOf(*change.now) &&
                      ResourceVersionOf(*change.before) == ResourceVersionOf(*change.now);
    if (!same) changes.push_back(std::move(change));
  }
  return changes;
}

ObjectChange ObjectStore::PutLocked(json object) {
  Request key = KeyOf(object);
  ObjectChange change = EraseLocked(key);
  change.now = std::make_shared<const json>(std::move(object));
  Bytes bytes = json::to_cbor(*change.now);
  bytes.shrink_to_fit();
  const auto placed = objects_.emplace(std::move(key), std::move(bytes)).first;
  IndexLocked(placed->first, *change.now, true);
  return change;
}

ObjectChange ObjectStore::EraseLocked(const Request& key) {
  const auto found = objects_.find(key);
  if (found == objects_.end()) return {};
  ObjectChange change{.before = Decode(found->second), .now = nullptr};
  IndexLocked(found->first, *change.before, false);
  objects_.erase(found);
  return change;
}

void ObjectStore::IndexLocked(const Request& key, const json& object, bool add) {
  const auto change = [&](Index& index, const std::string& value) {
    if (value.empty()) return;
    if (add) {
      index[value].insert(&key);
      return;
    }
    const auto entry = index.find(value);
    entry->second.erase(&key);
    if (entry->second.empty()) index.erase(entry);
  };
  const std::string owner = ControllerUidOf(object);
  change(by_owner_, owner);
  if (owner.empty() && !indexed_label_.empty()) change(orphans_, LabelOf(object, indexed_label_));
}

std::vector<Object> ObjectStore::FoundLocked(const Index& index, const std::string& value) const {
  std::vector<Object> result;
  const auto found = index.find(value);
  if (found == index.end()) return result;
  for (const Request* key : found->second) result.push_back(Decode(objects_.at(*key)));
  return result;
}

}  // namespace grapevine::controller
