#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "operator/base/mutex.h"
#include "operator/controller/api_client.h"

namespace grapevine::e2e {

// What the API server showed of a job's pods, change by change, and what is wrong with it: a second
// active pod for a slot, more active pods than were asked for. Thread-safe.
class PodRecord {
 public:
  explicit PodRecord(int asked) : asked_(asked) {}

  void OnEvent(const controller::WatchEvent& event);
  // From now on so many active pods may be there at once.
  void Allow(int asked);

  std::vector<std::string> violations() const;
  // How many there ever were.
  size_t made() const;
  // Slots of those that somebody deleted while they had not ended, ascending.
  std::vector<std::string> deleted() const;
  // Whose containers run and who are not being deleted.
  std::map<std::string, std::string> running() const;  // name to uid
  size_t active() const;
  size_t unfinished() const;                // active ones, and those that are being deleted
  bool Has(const std::string& name) const;  // among running()

 private:
  struct Pod {
    std::string uid;
    std::string slot;
    std::string phase;
    bool being_deleted = false;
    bool ended() const { return phase == "Succeeded" || phase == "Failed"; }
    bool active() const { return !ended() && !being_deleted; }
  };
  void CheckLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  int asked_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Pod> pods_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> made_ ABSL_GUARDED_BY(mutex_);  // uids
  std::vector<std::string> deleted_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> violations_ ABSL_GUARDED_BY(mutex_);
};

// The graphs of a job as the API server showed them, and what is wrong with their epochs: one that
// went back, or that came again with other edges. Thread-safe.
class GraphRecord {
 public:
  void OnEvent(const controller::WatchEvent& event);

  std::vector<std::string> violations() const;
  std::vector<uint64_t> epochs() const;  // ascending

 private:
  mutable Mutex mutex_;
  std::map<uint64_t, std::string> edges_ ABSL_GUARDED_BY(mutex_);  // by epoch
  std::vector<std::string> violations_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace grapevine::e2e
