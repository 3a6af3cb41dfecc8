#include "operator/topology/accounts.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace grapevine::topology {
namespace {

void Add(const ExchangeTotals& from, ExchangeTotals& to) {
  to.completed += from.completed;
  to.busy += from.busy;
  to.refused += from.refused;
  to.timed_out += from.timed_out;
  to.torn += from.torn;
  for (int b = 0; b < api::kExchangeBuckets; ++b) to.seconds[b] += from.seconds[b];
  to.seconds_max = std::max(to.seconds_max, from.seconds_max);
}

// A member cannot have done more, with a thousand a second for thirty years; and millions of
// members that claim as much can be summed.
constexpr int64_t kMostCounted = 1'000'000'000'000;

int64_t Count(int64_t reported) { return std::clamp<int64_t>(reported, 0, kMostCounted); }

ExchangeTotals ToTotals(const v1::Report& report) {
  ExchangeTotals totals{.completed = Count(report.exchanges().completed()),
                        .busy = Count(report.exchanges().busy()),
                        .refused = Count(report.exchanges().refused()),
                        .timed_out = Count(report.exchanges().timed_out()),
                        .torn = Count(report.exchanges().torn()),
                        .seconds_max = report.exchange_seconds_max()};
  const int buckets = std::min(report.exchange_seconds_buckets_size(), api::kExchangeBuckets);
  for (int b = 0; b < buckets; ++b) {
    totals.seconds[b] = std::min<uint64_t>(report.exchange_seconds_buckets(b), kMostCounted);
  }
  return totals;
}

}  // namespace

std::string_view StageName(Stage stage) {
  switch (stage) {
    case Stage::kWaiting:
      return "waiting";
    case Stage::kTraining:
      return "training";
    case Stage::kFinishing:
      return "finishing";
    case Stage::kFinalizing:
      return "finalizing";
    case Stage::kDone:
      return "done";
  }
  return "";
}

void Accounts::Admit(MemberId id, const std::string& pod, double copy_seconds) {
  MemberStats& stats = accounts_[id].stats;
  stats.id = id;
  stats.pod = pod;
  stats.alive = true;
  stats.copy_seconds = copy_seconds;
  stats.loss = std::numeric_limits<double>::quiet_NaN();
  ++joined_;
  ++alive_;
}

void Accounts::Report(MemberId id, const v1::Report& report) {
  auto it = accounts_.find(id);
  if (it == accounts_.end()) return;
  MemberStats& stats = it->second.stats;
  stats.steps = report.steps();
  stats.samples = report.samples();
  stats.samples_per_second = report.samples_per_second();
  stats.loss = report.loss();
  stats.mean_staleness_steps =
      report.steps() > 0 ? report.staleness_sum() / static_cast<double>(report.steps()) : 0;
  stats.trainer_seconds = report.trainer_seconds();
  stats.blocked_seconds = report.blocked_seconds();
  stats.exchanges = report.seen_exchanges();
  stats.bytes_sent = report.bytes_sent();
  stats.bytes_received = report.bytes_received();
  const ExchangeTotals totals = ToTotals(report);
  exchanges_completed_ += totals.completed - it->second.exchanges.completed;
  it->second.exchanges = totals;
  if (std::isfinite(report.peer_distance())) it->second.peer_distance = report.peer_distance();
}

void Accounts::Leave(MemberId id, bool lost) {
  auto it = accounts_.find(id);
  if (it == accounts_.end() || !it->second.stats.alive) return;
  it->second.stats.alive = false;
  --alive_;
  ++(lost ? lost_ : left_);
  if (accounts_.size() - alive_ <= kMaxDeparted) return;
  auto oldest =
      std::ranges::find_if(accounts_, [](const auto& a) { return !a.second.stats.alive; });
  Add(oldest->second.exchanges, forgotten_);
  accounts_.erase(oldest);
}

void Accounts::AddChange(RosterChange change) {
  changes_.push_back(std::move(change));
  if (changes_.size() > JobStats::kMaxChanges) changes_.pop_front();
}

void Accounts::Fill(JobStats& stats) const {
  stats.joined = joined_;
  stats.left = left_;
  stats.lost = lost_;
  stats.exchanges = forgotten_;
  stats.changes.assign(changes_.begin(), changes_.end());
  for (const auto& [id, account] : accounts_) {
    stats.members.push_back(account.stats);
    Add(account.exchanges, stats.exchanges);
  }
  stats.loss = Loss();
  stats.consensus_distance = ConsensusDistance();
}

double Accounts::Loss() const {
  double loss = 0;
  int64_t losses = 0;
  for (const auto& [id, account] : accounts_) {
    if (!account.stats.alive || !std::isfinite(account.stats.loss)) continue;
    loss += account.stats.loss;
    ++losses;
  }
  return losses > 0 ? loss / static_cast<double>(losses) : std::numeric_limits<double>::quiet_NaN();
}

std::optional<double> Accounts::ConsensusDistance() const {
  if (alive_ == 1) return 0;
  double sum = 0;
  int64_t known = 0;
  for (const auto& [id, account] : accounts_) {
    if (!account.stats.alive || account.stats.exchanges == 0) continue;
    sum += account.peer_distance * account.peer_distance;
    ++known;
  }
  if (known == 0) return std::nullopt;
  const auto n = static_cast<double>(alive_);
  return std::sqrt(sum / static_cast<double>(known) * (n - 1) / (2 * n));
}

}  // namespace grapevine::topology
