#include "operator/topology/lease_desk.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>
#include <vector>

#include "operator/base/log.h"

namespace grapevine::topology {
namespace {

void ToProto(const progress::BatchRange& range, v1::BatchRange* out) {
  out->set_data_epoch(range.data_epoch);
  out->set_first_batch(range.first_batch);
  out->set_end_batch(range.end_batch);
}

std::vector<progress::BatchRange> FromProto(
    const google::protobuf::RepeatedPtrField<v1::BatchRange>& ranges) {
  std::vector<progress::BatchRange> found;
  for (const v1::BatchRange& range : ranges) {
    found.push_back({range.data_epoch(), range.first_batch(), range.end_batch()});
  }
  return found;
}

HubMessage ToMessage(const progress::Lease& lease) {
  HubMessage message;
  message.mutable_lease()->set_lease(lease.id);
  for (const progress::BatchRange& range : lease.ranges) {
    ToProto(range, message.mutable_lease()->add_ranges());
  }
  return message;
}

HubMessage RecallMessage(uint64_t lease) {
  HubMessage message;
  message.mutable_recall()->set_lease(lease);
  return message;
}

}  // namespace

LeaseDesk::LeaseDesk(const progress::LedgerOptions& options,
                     std::function<void(MemberId, const HubMessage&)> send)
    : options_(options), send_(std::move(send)), ledger_(options) {
  ledger_.SetSuspended(true);
}

int64_t LeaseDesk::BatchesLeft(MemberId member) const {
  auto held = held_.find(member);
  if (held == held_.end()) return 0;
  int64_t left = 0;
  for (const auto& [id, lease] : held->second) left += lease.batches - lease.done;
  return left;
}

bool LeaseDesk::HasEnough(MemberId member) const {
  auto held = held_.find(member);
  if (held != held_.end() && held->second.size() >= kMostLeases) return true;
  const int64_t left = BatchesLeft(member);
  auto rate = rates_.find(member);
  if (rate == rates_.end() || rate->second <= 0) return 2 * left > progress::Ledger::kFirstBatches;
  return static_cast<double>(left * options_.batch_size) > ToSeconds(kEnough) * rate->second;
}

double LeaseDesk::SecondsLeft(MemberId member, int64_t batches) const {
  auto rate = rates_.find(member);
  if (rate == rates_.end() || rate->second <= 0) return std::numeric_limits<double>::infinity();
  return static_cast<double>(batches * options_.batch_size) / rate->second;
}

// One lease at a time: what little is left at the end is shared, not taken whole by who comes
// first.
void LeaseDesk::Serve(MemberId member, Time now) {
  if (!members_.contains(member) || hung_.contains(member)) return;
  hungry_.erase(member);
  if (HasEnough(member)) return;
  if (std::optional<progress::Lease> lease = ledger_.Grant(member, members_.size())) {
    held_[member][lease->id] = {.batches = lease->batches()};
    send_(member, ToMessage(*lease));
    return;
  }
  hungry_.insert(member);
  if (BatchesLeft(member) == 0) Recall(member, now);
}

// Only from somebody who would be longer about the rest than this one is about a single batch;
// otherwise two idle members would pass the last batches to and fro.
void LeaseDesk::Recall(MemberId idle, Time now) {
  auto rate = rates_.find(idle);
  const double one_batch = rate == rates_.end() ? 0 : SecondsLeft(idle, 1);
  const bool worth_it = std::ranges::any_of(held_, [&](const auto& owner) {
    return owner.first != idle && !owner.second.empty() &&
           SecondsLeft(owner.first, BatchesLeft(owner.first)) > one_batch;
  });
  auto last = recalled_at_.find(idle);
  if (!worth_it || (last != recalled_at_.end() && now - last->second < kRecallPause)) return;
  std::optional<progress::RecallRequest> recall = ledger_.Recall(idle, now);
  if (!recall) return;
  recalled_at_[idle] = now;
  send_(recall->owner, RecallMessage(recall->lease));
}

// Who has nothing comes first; who gave it back comes last.
void LeaseDesk::ServeHungry(Time now, MemberId last) {
  if (ledger_.NothingFree()) return;
  std::vector<MemberId> hungry(hungry_.begin(), hungry_.end());
  std::ranges::sort(hungry, {},
                    [&](MemberId id) { return std::tuple(id == last, BatchesLeft(id), id); });
  for (MemberId member : hungry) Serve(member, now);
}

void LeaseDesk::AddMember(MemberId member, Time now) {
  members_.insert(member);
  Serve(member, now);
}

void LeaseDesk::RemoveMember(MemberId member) {
  members_.erase(member);
  hungry_.erase(member);
  recalled_at_.erase(member);
  hung_.erase(member);
}

void LeaseDesk::Release(MemberId member, Time now) {
  held_.erase(member);
  steps_.erase(member);
  ledger_.Release(member);
  rates_.erase(member);
  ServeHungry(now);
}

void LeaseDesk::Credit(MemberId member, uint64_t lease, int64_t batches_done, Time now) {
  // Refused when the lease is another's by now, which is what keeps each sample counted once.
  if (!ledger_.Report(member, lease, batches_done, now).ok()) return;
  Held& held = held_[member][lease];
  held.done = std::max(held.done, batches_done);
  DropIfDone(member, lease);
}

void LeaseDesk::DropIfDone(MemberId member, uint64_t lease) {
  auto& leases = held_[member];
  auto it = leases.find(lease);
  if (it != leases.end() && it->second.done >= it->second.batches) leases.erase(it);
}

void LeaseDesk::OnReport(MemberId member, const v1::Report& report, Time now) {
  if (report.samples_per_second() > 0) {
    rates_[member] = report.samples_per_second();
    ledger_.SetRate(member, report.samples_per_second());
  }
  for (const v1::LeaseProgress& lease : report.leases()) {
    Credit(member, lease.lease(), lease.batches_done(), now);
  }
  int64_t& steps = steps_[member];
  if (report.steps() != steps) hung_.erase(member);
  steps = report.steps();
  Serve(member, now);
}

void LeaseDesk::OnReturn(MemberId member, const v1::LeaseReturn& answer, Time now) {
  // NotFound: expired meanwhile, or wholly done; either way there is nothing left to free.
  if (ledger_.Return(member, answer.lease(), answer.batches_done(), answer.first_unused(), now)
          .ok()) {
    Held& held = held_[member][answer.lease()];
    held.batches = answer.first_unused();
    held.done = std::max(held.done, answer.batches_done());
    DropIfDone(member, answer.lease());
  }
  ServeHungry(now, member);
}

void LeaseDesk::Adopt(MemberId member, const v1::Register& registration) {
  for (const v1::LeaseClaim& claim : registration.leases()) {
    const progress::Lease lease{
        .id = claim.lease(), .owner = member, .ranges = FromProto(claim.ranges())};
    const absl::StatusOr<bool> out = ledger_.Adopt(lease, claim.batches_done());
    if (!out.ok()) {
      LogWarn("member {} claims what cannot be: {}", member, std::string(out.status().message()));
    } else if (*out) {
      held_[member][claim.lease()] = {.batches = lease.batches(), .done = claim.batches_done()};
    }
  }
}

void LeaseDesk::OnResume(MemberId member, const v1::Register& registration, Time now) {
  std::set<uint64_t> has;
  std::set<uint64_t> unfinished;
  for (const v1::LeaseClaim& claim : registration.leases()) {
    Credit(member, claim.lease(), claim.batches_done(), now);
    has.insert(claim.lease());
    if (!claim.finished()) unfinished.insert(claim.lease());
  }
  std::set<uint64_t> owned;
  for (const progress::Lease& lease : ledger_.LeasesOf(member)) {
    owned.insert(lease.id);
    if (!has.contains(lease.id)) send_(member, ToMessage(lease));
  }
  for (uint64_t lease : unfinished) {
    if (!owned.contains(lease)) send_(member, RecallMessage(lease));
  }
  AddMember(member, now);
}

void LeaseDesk::SetGranting(bool granting, Time now) {
  if (ledger_.suspended() == !granting) return;
  ledger_.SetSuspended(!granting);
  if (!granting) return;
  for (MemberId member : std::set<MemberId>(members_)) Serve(member, now);
}

void LeaseDesk::Tick(Time now) {
  for (const progress::Lease& lease : ledger_.Expire(now)) {
    held_[lease.owner].erase(lease.id);
    hungry_.erase(lease.owner);
    hung_.insert(lease.owner);
  }
  ServeHungry(now);
}

void LeaseDesk::Reset() {
  held_.clear();
  ledger_.Reset();
}

v1::JobProgress LeaseDesk::Progress() const {
  const progress::Progress now = ledger_.Snapshot();
  v1::JobProgress progress;
  progress.set_samples(now.samples);
  progress.set_data_epoch(now.data_epoch);
  for (const progress::BatchRange& range : now.done) ToProto(range, progress.add_done());
  return progress;
}

absl::Status LeaseDesk::Restore(const v1::JobProgress& progress) {
  return Restore(progress::Progress{.samples = progress.samples(),
                                    .data_epoch = progress.data_epoch(),
                                    .done = FromProto(progress.done())});
}

absl::Status LeaseDesk::Restore(const progress::Progress& progress) {
  absl::Status status = ledger_.Restore(progress);
  if (status.ok()) held_.clear();
  return status;
}

}  // namespace grapevine::topology
