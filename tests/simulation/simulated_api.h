#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "operator/api/object_meta.h"
#include "operator/base/clock.h"
#include "operator/base/mutex.h"
#include "operator/local/api_server.h"
#include "tests/operator/controller/forwarding_client.h"

namespace grapevine::simulation {

// What stands between the operator of a simulated world and its API server: calls that fail, done
// or not, and the death of the operator between any two. What becomes of a call depends on the
// seed, the simulated time and the call, not on the order in which the threads of one batch come
// by, so that one seed gives one run. UIDs and times of creation are the simulation's own too.
// Thread-safe.
class SimulatedApi final : public controller::ForwardingClient {
 public:
  // All must outlive it.
  SimulatedApi(local::ApiServer& server, const Clock& clock, std::function<api::WallTime()> wall)
      : ForwardingClient(server), clock_(clock), wall_(std::move(wall)) {}

  // Half of the calls until then fail, and half of these are done all the same.
  void FailUntil(Time end, uint64_t salt);
  bool failing() const;
  // The operator makes so many more calls, or dies while it makes a batch of pods.
  void DieAfter(int calls, uint64_t salt);
  bool dead() const;
  // Of the next operator.
  void Revive();

  // Told of each pod that the operator is about to delete, on its thread.
  std::function<void(const std::string& pod)> on_delete;

  // Something was written since the last time it was asked.
  bool TakeChanged();
  // Puts the simulation's time of creation into an object as the server has it.
  void Date(nlohmann::json& object) const;

  Answer Get(const controller::Resource& resource, std::string_view name_space,
             std::string_view name) override;
  Answer Create(const controller::Resource& resource, const nlohmann::json& object) override;
  Answer UpdateStatus(const controller::Resource& resource, const nlohmann::json& object) override;
  absl::Status Delete(const controller::Resource& resource, std::string_view name_space,
                      std::string_view name, const controller::DeleteOptions& options) override;

 private:
  enum class Fate { kDone, kDoneUnanswered, kUndone };

  Fate FateOf(std::string_view verb, std::string_view name, bool in_batch);
  Answer CarryOut(Fate fate, const std::function<Answer()>& call);

  const Clock& clock_;
  const std::function<api::WallTime()> wall_;
  mutable Mutex mutex_;
  Time fail_until_ ABSL_GUARDED_BY(mutex_){};
  uint64_t fail_salt_ ABSL_GUARDED_BY(mutex_) = 0;
  bool dying_ ABSL_GUARDED_BY(mutex_) = false;
  int calls_left_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t die_salt_ ABSL_GUARDED_BY(mutex_) = 0;
  bool died_in_batch_ ABSL_GUARDED_BY(mutex_) = false;
  bool dead_ ABSL_GUARDED_BY(mutex_) = false;
  bool changed_ ABSL_GUARDED_BY(mutex_) = true;
  std::map<std::string, int> made_ ABSL_GUARDED_BY(mutex_);             // by kind and name
  std::map<std::string, std::string> created_ ABSL_GUARDED_BY(mutex_);  // RFC 3339, by UID
};

}  // namespace grapevine::simulation
