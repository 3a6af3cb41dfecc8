#include "operator/assembly/run.h"

#include <ctime>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "fmt/format.h"
#include "operator/api/training_job.h"
#include "operator/assembly/local_operator.h"
#include "operator/base/clock.h"
#include "operator/console/display.h"
#include "operator/console/report.h"
#include "operator/console/run_folder.h"
#include "operator/console/run_session.h"
#include "operator/console/script.h"

namespace grapevine::assembly {
namespace {

constexpr Duration kTurn = 100ms;  // keys, events, news

absl::StatusOr<std::string> FindWorker() {
  std::error_code error;
  const std::filesystem::path path =
      std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / "grapevine-worker";
  if (!std::filesystem::exists(path, error)) {
    return absl::NotFoundError(fmt::format("{}: no such program; build it first", path.string()));
  }
  return path.string();
}

absl::Status CheckScript(const std::vector<console::ScriptedEvent>& script,
                         const api::Workers& workers) {
  for (const console::ScriptedEvent& event : script) {
    if (event.action.kind != console::Action::Kind::kScale) continue;
    if (event.action.workers < workers.min_replicas ||
        event.action.workers > workers.max_replicas) {
      return absl::InvalidArgumentError(
          fmt::format("--events {}: allowed is spec.workers.minReplicas {} to maxReplicas {}",
                      event.text, workers.min_replicas, workers.max_replicas));
    }
  }
  return absl::OkStatus();
}

// Everything known before anything starts. InvalidArgument and NotFound are bad input.
struct Plan {
  console::JobFile file;
  std::vector<console::ScriptedEvent> script;
  std::string log_folder;
};

absl::StatusOr<Plan> MakePlan(const RunOptions& options) {
  Plan plan;
  auto script = console::ParseScript(options.events);
  if (!script.ok()) return script.status();
  plan.script = *std::move(script);
  if (!options.report.empty()) {
    const absl::Status status = console::CheckReportPath(options.report);
    if (!status.ok()) return status;
  }
  const auto worker = FindWorker();
  if (!worker.ok()) return worker.status();
  auto file = console::LoadJobFile(options.job, *worker);
  if (!file.ok()) return file.status();
  plan.file = *std::move(file);
  const api::TrainingJobSpec& spec = plan.file.job.spec;
  if (absl::Status status = CheckScript(plan.script, spec.workers); !status.ok()) return status;
  const auto uid = console::ChooseUid(options.resume, spec.checkpoint.path);
  if (!uid.ok()) return uid.status();
  plan.file.object["metadata"]["uid"] = *uid;
  plan.file.job.metadata.uid = *uid;
  auto log_folder = console::MakeLogFolder(spec.checkpoint.path, *uid);
  if (!log_folder.ok()) return log_folder.status();
  plan.log_folder = *std::move(log_folder);
  return plan;
}

// Nobody waits for a job that is gone or cannot be read: that is its end.
api::TrainingJobStatus StatusOf(const absl::StatusOr<api::TrainingJob>& job) {
  if (job.ok()) return job->status;
  api::TrainingJobStatus status;
  status.conditions.push_back({.type = api::kFailed,
                               .status = "True",
                               .reason = "JobGone",
                               .message = std::string(job.status().message())});
  return status;
}

// Until the job is over or a second signal comes.
void Watch(LocalOperator& local, console::RunSession& session, console::Display& display,
           const sigset_t& signals) {
  const RealClock clock;
  const timespec turn{.tv_sec = 0, .tv_nsec = kTurn.count()};
  bool asked = false;
  while (!session.over()) {
    const int signal = sigtimedwait(&signals, nullptr, &turn);
    const Time now = clock.Now();
    if (signal > 0) {
      if (asked) return local.EndAtOnce();
      asked = true;
      session.RequestStop(now);
    }
    session.Turn(now, local.Stats(), StatusOf(local.Job()));
    display.Show(session, now);
  }
}

int Fail(const absl::Status& status) {
  fmt::print(stderr, "grapevine: {}\n", std::string(status.message()));
  return absl::IsInvalidArgument(status) || absl::IsNotFound(status) ? kBadInput : 1;
}

}  // namespace

int Run(const RunOptions& options, const sigset_t& signals) {
  auto plan = MakePlan(options);
  if (!plan.ok()) return Fail(plan.status());
  LocalOperator local({.metrics_address = options.metrics, .log_folder = plan->log_folder});
  const RealClock clock;
  const Time started = clock.Now();
  if (const absl::Status status = local.Start(plan->file.object); !status.ok()) {
    return Fail(status);
  }
  console::RunSession session(plan->file.job, plan->script, local.Verbs(), started);
  session.Say(started, fmt::format("metrics at {}", local.MetricsUrl()));
  console::Display display(plan->log_folder);
  Watch(local, session, display, signals);
  const console::Outcome outcome = session.MakeOutcome(clock.Now());
  display.Close(session);
  local.Stop();
  console::PrintSummary(outcome, plan->log_folder);
  if (!options.report.empty()) {
    const absl::Status status = console::WriteReport(options.report, console::ReportJson(outcome));
    if (!status.ok()) return Fail(status);
  }
  return session.ExitStatus();
}

}  // namespace grapevine::assembly
