#pragma once

#include <functional>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "operator/api/training_job.h"
#include "operator/base/clock.h"
#include "operator/console/report.h"
#include "operator/console/run_view.h"
#include "operator/console/script.h"
#include "operator/topology/job_stats.h"

namespace grapevine::console {

// What a run can do to its job and its workers. All return soon.
struct Verbs {
  std::function<absl::Status(int replicas)> scale;
  std::function<absl::Status(const std::string& pod)> kill;
  std::function<absl::Status(const std::string& pod, double factor)> slow;
  std::function<absl::Status(const std::string& pod, double seconds)> pause;
  std::function<absl::Status()> stop;                        // in order: last consensus, checkpoint
  std::function<std::string(const std::string& pod)> state;  // "slowed", "paused" or ""
};

// One `grapevine run` seen from the person's side: fires the scripted events when they are due,
// does what keys ask for, notices what became of it, and keeps the words for the screen, the lines
// and the report. It reads no clock and knows no process: the caller brings both.
// Thread-compatible.
class RunSession {
 public:
  RunSession(api::TrainingJob job, std::vector<ScriptedEvent> script, Verbs verbs, Time started);

  // One turn, some ten times a second: takes in what the job looks like now, then fires what is
  // due.
  void Turn(Time now, topology::JobStats stats, api::TrainingJobStatus status);

  // + - k s q; others are ignored.
  void OnKey(char key, Time now);
  void RequestStop(Time now);

  // On the screen and as news.
  void Say(Time now, const std::string& text);

  // The job has Succeeded, Failed or was stopped.
  bool over() const;
  // 0 Succeeded with every event fired; 1 otherwise; 2 bad input that a worker found; 130 Stopped.
  int ExitStatus() const;

  RunView View(Time now) const;
  Outcome MakeOutcome(Time now) const;
  // What happened since the last call, a line each.
  std::vector<std::string> TakeNews();

 private:
  struct Fired {
    size_t record;  // of records_
    Action::Kind kind;
    Time at;
    std::set<std::string> pods;  // hit
    Time until = Time::max();    // whatever comes later is not its doing
  };

  std::string Stamped(Time now, const std::string& text) const;
  void FireDue(Time now);
  // False when nothing came of it: there is nobody to hit, or a scale is refused.
  bool Fire(const Action& action, size_t record, Time now);
  bool Hit(const Action& action, Fired& fired, Time now);
  void Scale(int replicas, Time now);
  std::vector<std::string> PickVictims(const Action& action);
  void Notice(const topology::RosterChange& change);
  void TellChanges(Time now);
  void TellDoubt(Time now);
  double Elapsed(Time now) const { return ToSeconds(now - started_); }
  std::string State() const;
  const api::Condition* FindTrue(const char* type) const;

  const api::TrainingJob job_;
  const std::vector<ScriptedEvent> script_;
  const Verbs verbs_;
  const Time started_;
  std::mt19937_64 rng_;

  int desired_;
  topology::JobStats stats_;
  api::TrainingJobStatus status_;
  std::vector<bool> fired_script_;
  std::vector<EventRecord> records_;  // the script's first, then the keys'
  std::vector<Fired> awaiting_;       // fired, not yet noticed
  int64_t changes_told_ = 0;
  size_t evaluations_told_ = 0;
  bool doubt_told_ = false;
  topology::Stage stage_told_ = topology::Stage::kWaiting;
  std::optional<Time> first_member_;
  std::optional<Time> training_end_;
  bool stop_requested_ = false;
  std::vector<std::string> events_;  // for the screen, the last kMaxEvents
  std::vector<std::string> news_;

  static constexpr size_t kMaxEvents = 100;
};

}  // namespace grapevine::console
