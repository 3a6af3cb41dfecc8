#include "tests/simulation/simulated_api.h"

#include <utility>

#include "fmt/format.h"
#include "operator/controller/object_store.h"
#include "operator/training_job/apply.h"

namespace grapevine::simulation {
namespace {

using nlohmann::json;

uint64_t Hash(uint64_t salt, std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325 ^ salt;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash ^ (hash >> 29);
}

}  // namespace

void SimulatedApi::FailUntil(Time end, uint64_t salt) {
  MutexLock lock(mutex_);
  fail_until_ = end;
  fail_salt_ = salt;
}

bool SimulatedApi::failing() const {
  MutexLock lock(mutex_);
  return clock_.Now() < fail_until_;
}

void SimulatedApi::DieAfter(int calls, uint64_t salt) {
  MutexLock lock(mutex_);
  dying_ = true;
  calls_left_ = calls;
  die_salt_ = salt;
}

bool SimulatedApi::dead() const {
  MutexLock lock(mutex_);
  return dead_ || died_in_batch_;
}

void SimulatedApi::Revive() {
  MutexLock lock(mutex_);
  dying_ = died_in_batch_ = dead_ = false;
}

bool SimulatedApi::TakeChanged() {
  MutexLock lock(mutex_);
  return std::exchange(changed_, false);
}

void SimulatedApi::Date(json& object) const {
  MutexLock lock(mutex_);
  const auto created = created_.find(controller::UidOf(object));
  if (created != created_.end()) object["metadata"]["creationTimestamp"] = created->second;
}

SimulatedApi::Fate SimulatedApi::FateOf(std::string_view verb, std::string_view name,
                                        bool in_batch) {
  const Time now = clock_.Now();
  MutexLock lock(mutex_);
  changed_ = true;
  if (dead_) return Fate::kUndone;
  const std::string call = fmt::format("{} {}", verb, name);
  if (dying_ && in_batch) {
    // Others of the batch may be done after this one, as those are that were sent before a kill.
    const uint64_t drawn = Hash(die_salt_, call) % 4;
    if (drawn < 2) {
      died_in_batch_ = true;
      return drawn == 0 ? Fate::kUndone : Fate::kDoneUnanswered;
    }
  } else if (dying_) {
    dead_ = died_in_batch_ || calls_left_-- <= 0;
    if (died_in_batch_) return Fate::kUndone;
    if (dead_) return Hash(die_salt_, call) % 2 == 0 ? Fate::kUndone : Fate::kDoneUnanswered;
  }
  if (now < fail_until_) {
    const auto at = static_cast<uint64_t>(now.time_since_epoch().count());
    const uint64_t drawn = Hash(fail_salt_ ^ at, call) % 4;
    if (drawn == 0) return Fate::kUndone;
    if (drawn == 1) return Fate::kDoneUnanswered;
  }
  return Fate::kDone;
}

SimulatedApi::Answer SimulatedApi::CarryOut(Fate fate, const std::function<Answer()>& call) {
  if (fate == Fate::kUndone) return absl::UnavailableError("nobody answers");
  Answer answer = call();
  if (fate == Fate::kDoneUnanswered) return absl::UnavailableError("the answer was lost");
  return answer;
}

SimulatedApi::Answer SimulatedApi::Get(const controller::Resource& resource,
                                       std::string_view name_space, std::string_view name) {
  {
    MutexLock lock(mutex_);
    if (dead_) return absl::UnavailableError("nobody answers");
  }
  return ForwardingClient::Get(resource, name_space, name);
}

SimulatedApi::Answer SimulatedApi::Create(const controller::Resource& resource,
                                          const json& object) {
  const std::string name = controller::KeyOf(object).name;
  return CarryOut(FateOf("create", name, resource == training_job::kPods), [&]() -> Answer {
    // Where one is there already, nothing is made and no UID used.
    if (ForwardingClient::Get(resource, controller::KeyOf(object).name_space, name).ok()) {
      return ForwardingClient::Create(resource, object);
    }
    json named = object;
    {
      MutexLock lock(mutex_);
      const std::string uid =
          fmt::format("{}-{}-{}", resource.plural, name, ++made_[resource.plural + "/" + name]);
      named["metadata"]["uid"] = uid;
      created_[uid] = api::FormatWallTime(wall_());
    }
    return ForwardingClient::Create(resource, named);
  });
}

SimulatedApi::Answer SimulatedApi::UpdateStatus(const controller::Resource& resource,
                                                const json& object) {
  return CarryOut(FateOf("update " + resource.plural, controller::KeyOf(object).name, false),
                  [&] { return ForwardingClient::UpdateStatus(resource, object); });
}

absl::Status SimulatedApi::Delete(const controller::Resource& resource, std::string_view name_space,
                                  std::string_view name, const controller::DeleteOptions& options) {
  return CarryOut(FateOf("delete", name, false),
                  [&]() -> Answer {
                    if (resource == training_job::kPods && on_delete) on_delete(std::string(name));
                    absl::Status status =
                        ForwardingClient::Delete(resource, name_space, name, options);
                    if (!status.ok()) return status;
                    return json::object();
                  })
      .status();
}

}  // namespace grapevine::simulation
