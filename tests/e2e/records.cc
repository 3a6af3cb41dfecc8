#include "tests/e2e/records.h"

#include <algorithm>
#include <utility>

#include "fmt/format.h"
#include "operator/controller/object_store.h"

namespace grapevine::e2e {

using nlohmann::json;

void PodRecord::OnEvent(const controller::WatchEvent& event) {
  using Type = controller::WatchEvent::Type;
  MutexLock lock(mutex_);
  if (event.type == Type::kError) violations_.emplace_back("the record's own watch ended");
  if (event.type == Type::kError || event.type == Type::kBookmark) return;
  const json& object = event.object;
  const json& metadata = object.at("metadata");
  const std::string name = metadata.at("name");
  Pod pod{.uid = controller::UidOf(object),
          .slot = metadata.value(json::json_pointer("/labels/grapevine.dev~1slot"), "none"),
          .phase = object.value("/status/phase"_json_pointer, "Pending"),
          .being_deleted = metadata.contains("deletionTimestamp") || event.type == Type::kDeleted};
  made_.insert(pod.uid);
  const auto known = pods_.find(name);
  const bool was_deleted =
      known != pods_.end() && known->second.uid == pod.uid && known->second.being_deleted;
  if (pod.being_deleted && !was_deleted && !pod.ended()) deleted_.push_back(pod.slot);
  if (event.type == Type::kDeleted) {
    pods_.erase(name);
  } else {
    pods_[name] = std::move(pod);
  }
  CheckLocked();
}

void PodRecord::CheckLocked() {
  std::map<std::string, int> by_slot;
  int active = 0;
  for (const auto& [name, pod] : pods_) {
    if (!pod.active()) continue;
    ++active;
    if (++by_slot[pod.slot] == 2) {
      violations_.push_back(fmt::format("two active pods for slot {}, {} is one", pod.slot, name));
    }
  }
  if (active > asked_) violations_.push_back(fmt::format("{} pods for {}", active, asked_));
}

void PodRecord::Allow(int asked) {
  MutexLock lock(mutex_);
  asked_ = asked;
}

std::vector<std::string> PodRecord::violations() const {
  MutexLock lock(mutex_);
  return violations_;
}

size_t PodRecord::made() const {
  MutexLock lock(mutex_);
  return made_.size();
}

std::vector<std::string> PodRecord::deleted() const {
  MutexLock lock(mutex_);
  std::vector<std::string> slots = deleted_;
  std::ranges::sort(slots);
  return slots;
}

std::map<std::string, std::string> PodRecord::running() const {
  MutexLock lock(mutex_);
  std::map<std::string, std::string> result;
  for (const auto& [name, pod] : pods_) {
    if (pod.phase == "Running" && !pod.being_deleted) result[name] = pod.uid;
  }
  return result;
}

size_t PodRecord::active() const {
  MutexLock lock(mutex_);
  return static_cast<size_t>(
      std::ranges::count_if(pods_, [](const auto& each) { return each.second.active(); }));
}

size_t PodRecord::unfinished() const {
  MutexLock lock(mutex_);
  return static_cast<size_t>(
      std::ranges::count_if(pods_, [](const auto& each) { return !each.second.ended(); }));
}

bool PodRecord::Has(const std::string& name) const { return running().contains(name); }

void GraphRecord::OnEvent(const controller::WatchEvent& event) {
  using Type = controller::WatchEvent::Type;
  if (event.type != Type::kAdded && event.type != Type::kModified) return;
  const json status = event.object.value("status", json::object());
  const uint64_t epoch = status.value("epoch", uint64_t{0});
  const std::string edges = status.value("edges", json::array()).dump();
  MutexLock lock(mutex_);
  const uint64_t newest = edges_.empty() ? 0 : edges_.rbegin()->first;
  if (epoch < newest) violations_.push_back(fmt::format("epoch {} after {}", epoch, newest));
  const auto [known, is_new] = edges_.emplace(epoch, edges);
  if (known->second != edges) violations_.push_back(fmt::format("epoch {} came again", epoch));
}

std::vector<std::string> GraphRecord::violations() const {
  MutexLock lock(mutex_);
  return violations_;
}

std::vector<uint64_t> GraphRecord::epochs() const {
  MutexLock lock(mutex_);
  std::vector<uint64_t> epochs;
  for (const auto& [epoch, edges] : edges_) epochs.push_back(epoch);
  return epochs;
}

}  // namespace grapevine::e2e
