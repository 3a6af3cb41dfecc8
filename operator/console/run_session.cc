#include "operator/console/run_session.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_join.h"
#include "fmt/format.h"

namespace grapevine::console {
namespace {

using topology::Stage;

constexpr double kKeySlowdown = 10;

// Reasons of a worker that can never take part: what it was told to use is wrong.
bool IsBadInput(std::string_view reason) {
  return reason == "InvalidDataset" || reason == "InvalidModel" || reason == "InvalidCheckpoint";
}

bool IsDoubtful(const api::Condition& condition) { return condition.reason == api::kNotLearning; }

}  // namespace

RunSession::RunSession(api::TrainingJob job, std::vector<ScriptedEvent> script, Verbs verbs,
                       Time started)
    : job_(std::move(job)),
      script_(std::move(script)),
      verbs_(std::move(verbs)),
      started_(started),
      rng_(static_cast<uint64_t>(job_.spec.training.seed)),
      desired_(job_.spec.workers.replicas),
      fired_script_(script_.size(), false) {
  for (const ScriptedEvent& event : script_) records_.push_back({.what = event.text});
}

void RunSession::Turn(Time now, topology::JobStats stats, api::TrainingJobStatus status) {
  stats_ = std::move(stats);
  status_ = std::move(status);
  if (!first_member_ && stats_.joined > 0) first_member_ = now;
  if (first_member_ && !training_end_ && stats_.stage > Stage::kTraining) training_end_ = now;
  TellChanges(now);
  TellDoubt(now);
  FireDue(now);
}

void RunSession::OnKey(char key, Time now) {
  Action action;
  switch (key) {
    case '+':
      return Scale(desired_ + 1, now);
    case '-':
      return Scale(desired_ - 1, now);
    case 'k':
      action = {.kind = Action::Kind::kKill, .workers = 1};
      break;
    case 's':
      action = {.kind = Action::Kind::kSlow, .workers = 1, .amount = kKeySlowdown};
      break;
    case 'q':
      return RequestStop(now);
    default:
      return;
  }
  records_.push_back({.what = action.Text()});
  if (!Fire(action, records_.size() - 1, now)) {
    records_.pop_back();
    Say(now, fmt::format("{}: no worker to hit", action.Text()));
  }
}

void RunSession::Scale(int replicas, Time now) {
  const Action action{.kind = Action::Kind::kScale, .workers = replicas};
  records_.push_back({.what = action.Text()});
  if (!Fire(action, records_.size() - 1, now)) records_.pop_back();
}

void RunSession::RequestStop(Time now) {
  if (stop_requested_) return;
  stop_requested_ = true;
  const absl::Status status = verbs_.stop();
  Say(now, status.ok() ? "stopping: last consensus, then a checkpoint"
                       : fmt::format("cannot stop: {}", std::string(status.message())));
}

void RunSession::FireDue(Time now) {
  if (over() || stop_requested_ || stats_.stage > Stage::kTraining) return;
  for (size_t i = 0; i < script_.size(); ++i) {
    if (fired_script_[i] || !script_[i].due.Reached(now - started_, stats_.fraction)) continue;
    fired_script_[i] = Fire(script_[i].action, i, now);
  }
}

bool RunSession::Fire(const Action& action, size_t record, Time now) {
  Fired fired{.record = record, .kind = action.kind, .at = now};
  if (action.kind == Action::Kind::kScale) {
    const absl::Status status = verbs_.scale(action.workers);
    if (!status.ok()) {
      Say(now, fmt::format("{} refused: {}", action.Text(), std::string(status.message())));
      return false;
    }
    Say(now, fmt::format("{} (was {})", action.Text(), desired_));
    desired_ = action.workers;
  } else if (!Hit(action, fired, now)) {
    return false;
  }
  records_[record].at = Elapsed(now);
  if (action.kind == Action::Kind::kPause) fired.until = now + FromSeconds(action.amount);
  if (action.kind == Action::Kind::kKill) {
    // Whoever was paused as well is lost by this.
    for (Fired& earlier : awaiting_) {
      for (const std::string& pod : fired.pods) earlier.pods.erase(pod);
    }
  }
  if (action.kind != Action::Kind::kSlow) awaiting_.push_back(std::move(fired));
  return true;
}

bool RunSession::Hit(const Action& action, Fired& fired, Time now) {
  for (const std::string& pod : PickVictims(action)) {
    absl::Status status;
    switch (action.kind) {
      case Action::Kind::kKill:
        status = verbs_.kill(pod);
        break;
      case Action::Kind::kSlow:
        status = verbs_.slow(pod, action.amount);
        break;
      case Action::Kind::kPause:
        status = verbs_.pause(pod, action.amount);
        break;
      case Action::Kind::kScale:
        break;
    }
    if (status.ok()) fired.pods.insert(pod);
  }
  if (fired.pods.empty()) return false;
  Say(now, fmt::format("{}: {}", action.Text(), absl::StrJoin(fired.pods, ", ")));
  return true;
}

std::vector<std::string> RunSession::PickVictims(const Action& action) {
  // Who is slowed or paused already would not show another such event, but can be killed.
  const bool any = action.kind == Action::Kind::kKill;
  std::vector<std::string> pods;
  for (const topology::MemberStats& member : stats_.members) {
    if (member.alive && (any || verbs_.state(member.pod).empty())) pods.push_back(member.pod);
  }
  std::shuffle(pods.begin(), pods.end(), rng_);
  if (static_cast<int>(pods.size()) > action.workers) pods.resize(action.workers);
  return pods;
}

void RunSession::Notice(const topology::RosterChange& change) {
  for (auto it = awaiting_.begin(); it != awaiting_.end(); ++it) {
    const bool ours = it->kind == Action::Kind::kScale
                          ? change.joined || !change.lost
                          : !change.joined && it->pods.contains(change.pod);
    if (!ours || change.noticed < it->at || change.noticed > it->until) continue;
    records_[it->record].noticed_after = ToSeconds(change.noticed - it->at);
    records_[it->record].published_after = ToSeconds(change.published - change.noticed);
    awaiting_.erase(it);
    return;
  }
}

void RunSession::TellChanges(Time now) {
  const int64_t all = stats_.joined + stats_.left + stats_.lost;
  const auto kept = static_cast<int64_t>(stats_.changes.size());
  for (int64_t i = kept - std::min(kept, all - changes_told_); i < kept; ++i) {
    const topology::RosterChange& change = stats_.changes[i];
    const char* verb = change.joined ? "joined" : change.lost ? "lost" : "left";
    Say(change.noticed,
        fmt::format("member {} ({}) {}: {}", change.member, change.pod, verb, change.reason));
    Notice(change);
  }
  changes_told_ = all;
  const size_t evaluations = stats_.evaluations.size();
  for (size_t i = std::min(evaluations_told_, evaluations); i < evaluations; ++i) {
    const topology::Evaluation& found = stats_.evaluations[i];
    // On the screen it would crowd out what happened, and the latest has its place above.
    news_.push_back(Stamped(
        now, fmt::format("accuracy {:.2f}% loss {:.4f} at data epoch {:.2f} (member {})",
                         found.accuracy * 100, found.loss, found.data_epochs, found.member)));
  }
  evaluations_told_ = evaluations;
  if (stats_.stage != stage_told_) {
    stage_told_ = stats_.stage;
    Say(now, fmt::format("now {}", topology::StageName(stage_told_)));
  }
}

void RunSession::TellDoubt(Time now) {
  const api::Condition* running = FindTrue(api::kRunning);
  const bool doubtful = running != nullptr && IsDoubtful(*running);
  if (doubtful && !doubt_told_) Say(now, "warning: " + running->message);
  doubt_told_ = doubtful;
}

std::string RunSession::Stamped(Time now, const std::string& text) const {
  return fmt::format("{:6.1f}s  {}", Elapsed(now), text);
}

void RunSession::Say(Time now, const std::string& text) {
  const std::string line = Stamped(now, text);
  news_.push_back(line);
  events_.push_back(line);
  if (events_.size() > kMaxEvents) events_.erase(events_.begin());
}

std::vector<std::string> RunSession::TakeNews() { return std::exchange(news_, {}); }

const api::Condition* RunSession::FindTrue(const char* type) const {
  const api::Condition* found = api::FindCondition(status_.conditions, type);
  return found != nullptr && found->status == "True" ? found : nullptr;
}

bool RunSession::over() const {
  return FindTrue(api::kSucceeded) != nullptr || FindTrue(api::kFailed) != nullptr;
}

std::string RunSession::State() const {
  const api::Condition* failed = FindTrue(api::kFailed);
  if (failed != nullptr) return failed->reason == "Stopped" ? "Stopped" : "Failed";
  if (FindTrue(api::kSucceeded) != nullptr) return "Succeeded";
  if (stop_requested_) return "Stopping";
  if (stats_.stage == Stage::kFinishing || stats_.stage == Stage::kFinalizing) return "Finishing";
  if (FindTrue(api::kDegraded) != nullptr) return "Degraded";
  return FindTrue(api::kRunning) != nullptr ? "Running" : "Starting";
}

int RunSession::ExitStatus() const {
  const std::string state = State();
  if (state == "Stopped" || state == "Stopping") return 130;
  const api::Condition* failed = FindTrue(api::kFailed);
  if (failed != nullptr && IsBadInput(failed->reason)) return 2;
  const bool all_fired =
      std::all_of(fired_script_.begin(), fired_script_.end(), [](bool fired) { return fired; });
  return state == "Succeeded" && all_fired ? 0 : 1;
}

RunView RunSession::View(Time now) const {
  RunView view{.job = job_.metadata.name, .state = State(), .elapsed_seconds = Elapsed(now)};
  view.remaining_seconds = stats_.remaining_seconds.value_or(-1);
  view.fraction = stats_.fraction;
  view.data_epochs = stats_.data_epochs;
  view.total_data_epochs = job_.spec.training.epochs;
  view.samples_per_second = stats_.samples_per_second.value_or(0);
  view.loss = stats_.loss;
  if (!stats_.evaluations.empty()) view.accuracy = stats_.evaluations.back().accuracy;
  if (stats_.result) view.accuracy = stats_.result->accuracy;
  view.exchanges_per_second = stats_.exchanges_per_second.value_or(0);
  view.consensus_distance = stats_.consensus_distance.value_or(std::nan(""));
  view.epoch = stats_.graph_epoch;
  view.edges = stats_.graph_edges;
  view.spectral_gap = status_.graph.spectral_gap;
  view.desired_workers = desired_;
  for (const topology::MemberStats& member : stats_.members) {
    if (!member.alive) continue;
    const std::string fault = verbs_.state(member.pod);
    view.members.push_back({.id = member.id,
                            .pod = member.pod,
                            .side = member.side == graph::Side::kActive ? "active" : "passive",
                            .state = fault.empty() ? "training" : fault,
                            .steps = member.steps,
                            .samples_per_second = member.samples_per_second,
                            .loss = member.loss,
                            .mean_staleness_steps = member.mean_staleness_steps,
                            .exchanges = member.exchanges});
  }
  view.events = events_;
  return view;
}

Outcome RunSession::MakeOutcome(Time now) const {
  Outcome outcome{.job = job_.metadata.name,
                  .uid = job_.metadata.uid,
                  .state = State() == "Stopping" ? "Stopped" : State(),
                  .seconds = Elapsed(now)};
  if (const api::Condition* failed = FindTrue(api::kFailed)) {
    outcome.reason = failed->reason;
    outcome.message = failed->message;
  }
  const api::Condition* succeeded = FindTrue(api::kSucceeded);
  if (succeeded != nullptr && IsDoubtful(*succeeded)) outcome.warning = succeeded->message;
  if (first_member_)
    outcome.training_seconds = ToSeconds(training_end_.value_or(now) - *first_member_);
  outcome.events = records_;
  outcome.stats = stats_;
  return outcome;
}

}  // namespace grapevine::console
