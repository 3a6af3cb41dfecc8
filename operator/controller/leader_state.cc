#include "operator/controller/leader_state.h"

#include <algorithm>
#include <utility>

#include "operator/base/check.h"
#include "operator/controller/object_store.h"

namespace grapevine::controller {
namespace {

using nlohmann::json;

// The API holds whole seconds; a released lease has the shortest.
constexpr Duration kReleased = 1s;

}  // namespace

LeaseRecord ReadLease(const json& lease) {
  LeaseRecord record{.version = ResourceVersionOf(lease)};
  const auto spec = lease.find("spec");
  if (spec == lease.end() || !spec->is_object()) return record;
  const auto holder = spec->find("holderIdentity");
  if (holder != spec->end() && holder->is_string()) record.holder = holder->get<std::string>();
  const auto length = spec->find("leaseDurationSeconds");
  if (length != spec->end() && length->is_number_integer()) {
    // Whatever somebody wrote into it, a lease runs out within the day.
    record.length = std::clamp<int64_t>(length->get<int64_t>(), 0, 86'400) * 1s;
  }
  const auto transitions = spec->find("leaseTransitions");
  if (transitions != spec->end() && transitions->is_number_integer()) {
    record.transitions = transitions->get<int>();
  }
  return record;
}

LeaderState::LeaderState(LeaderOptions options) : options_(std::move(options)) {
  GRAPEVINE_CHECK(!options_.identity.empty());
  GRAPEVINE_CHECK(options_.length > options_.renew_deadline);
  GRAPEVINE_CHECK(options_.renew_deadline > options_.retry);
}

LeaderState::Next LeaderState::NextStep(Time now) const {
  if (lost_) return {Step::kLost};
  return leading_ ? NextAsLeader(now) : NextAsCandidate(now);
}

LeaderState::Next LeaderState::NextAsLeader(Time now) const {
  const Time deadline = renewed_at_ + options_.renew_deadline;
  if (now >= deadline) return {Step::kLost};
  if (now < not_before_) return {Step::kWait, std::min(not_before_, deadline)};
  if (!known_) return {Step::kRead};
  const Time due = renewed_at_ + options_.retry;
  if (now < due) return {Step::kWait, due};
  return {Step::kRenew};
}

LeaderState::Next LeaderState::NextAsCandidate(Time now) const {
  if (now < not_before_) return {Step::kWait, not_before_};
  if (!known_) return {Step::kRead};
  if (!seen_) return {Step::kCreate};
  // One of this very name is nobody else: it is what an earlier life of this process left.
  const Time runs_out = changed_at_ + seen_->length;
  if (seen_->holder.empty() || seen_->holder == options_.identity || now >= runs_out) {
    return {Step::kTake};
  }
  const Time look = std::min(looked_at_ + options_.look_interval, runs_out);
  if (now < look) return {Step::kWait, look};
  return {Step::kRead};
}

LeaseRecord LeaderState::Ours() const {
  const int before = seen_ ? seen_->transitions : -1;
  const bool same = seen_ && seen_->holder == options_.identity;
  return {.holder = options_.identity,
          .length = options_.length,
          .transitions = same ? before : before + 1,
          .version = version()};
}

LeaseRecord LeaderState::Released() const {
  LeaseRecord record = Ours();
  record.holder.clear();
  record.length = kReleased;
  return record;
}

void LeaderState::OnRead(const std::optional<LeaseRecord>& record, Time now) {
  if (record != seen_) changed_at_ = now;
  seen_ = record;
  known_ = true;
  looked_at_ = now;
  // Without it there is nothing that says who leads: whoever makes it anew does.
  if (leading_ && (!record || record->holder != options_.identity)) lost_ = true;
}

void LeaderState::OnWritten(const LeaseRecord& record, Time began) {
  seen_ = record;
  known_ = true;
  leading_ = true;
  renewed_at_ = began;
}

void LeaderState::OnConflict() { known_ = false; }

void LeaderState::OnFailed(Time now) {
  known_ = false;  // the write may have been done all the same
  not_before_ = now + (leading_ ? options_.retry / 2 : options_.retry);
}

}  // namespace grapevine::controller
