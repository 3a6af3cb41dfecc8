// grapevine: `grapevine run` is the operator on this machine: the same reconciler and hub as in a
// cluster, over an API server in memory and pods that are child processes.

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <thread>

#include "CLI/CLI.hpp"
#include "fmt/format.h"
#include "operator/api/labels.h"
#include "operator/api/validation.h"
#include "operator/base/log.h"
#include "operator/base/supervisor.h"
#include "operator/console/faults.h"
#include "operator/console/job_file.h"
#include "operator/console/report.h"
#include "operator/console/run_folder.h"
#include "operator/console/run_session.h"
#include "operator/console/terminal.h"
#include "operator/controller/controller.h"
#include "operator/controller/informer.h"
#include "operator/grpc/topology_service.h"
#include "operator/local/api_server.h"
#include "operator/local/process_kubelet.h"
#include "operator/metrics/operator_metrics.h"
#include "operator/topology/hub.h"
#include "operator/training_job/training_job_reconciler.h"

namespace grapevine {
namespace {

using controller::Request;
using controller::Resource;

constexpr Duration kTurn = 100ms;        // keys, events, news
constexpr Duration kDrawEvery = 250ms;   // the screen
constexpr Duration kProgressEvery = 5s;  // the line without a terminal
constexpr Duration kSyncLimit = 10s;
constexpr int kBadInput = 2;
constexpr int kWriteTries = 5;

const Resource kJobs{api::kGroup, api::kVersion, api::kTrainingJobPlural};
const Resource kGraphs{api::kGroup, api::kVersion, api::kCommunicationGraphPlural};
const Resource kPods{"", "v1", "pods"};

struct RunOptions {
  console::JobFileOptions job;
  std::string events;
  std::string report;
  std::string resume;
  std::string metrics = "127.0.0.1:0";
};

absl::StatusOr<std::string> FindWorker() {
  std::error_code error;
  const std::filesystem::path path =
      std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / "grapevine-worker";
  if (!std::filesystem::exists(path, error)) {
    return absl::NotFoundError(fmt::format("{}: no such program; build it first", path.string()));
  }
  return path.string();
}

// All parts of the operator around one job, in the order in which they start. Stops them in the
// reverse one. Lives on the main thread, but for what the parts do on their own.
class LocalOperator {
 public:
  LocalOperator(const RunOptions& options, std::string log_folder)
      : options_(options),
        log_folder_(std::move(log_folder)),
        hub_(clock_,
             [this](const topology::JobKey& job) {
               Enqueue({job.name_space, job.name});
             }),
        jobs_(&server_, &clock_, {.resource = kJobs}),
        pods_(&server_, &clock_, {.resource = kPods, .indexed_label = api::kJobNameLabel}),
        graphs_(&server_, &clock_, {.resource = kGraphs}) {}

  absl::Status Start(const nlohmann::json& job);
  void Stop() { supervisor_->Stop().IgnoreError(); }

  // Nobody is waited for any more.
  void EndAtOnce() { end_grace_ = Duration::zero(); }

  absl::StatusOr<api::TrainingJob> Job();
  topology::JobStats Stats() const { return hub_.Stats({key_.name_space, key_.name}); }
  console::Verbs Verbs();
  std::string MetricsUrl() const;

 private:
  void Enqueue(const Request& request) {
    if (controller::Controller* queue = queue_) queue->Enqueue(request);
  }
  std::vector<Part> Parts();
  void WaitForPodsToEnd();
  absl::Status Change(const std::function<void(nlohmann::json&)>& change);
  absl::Status Scale(int replicas);
  std::vector<metrics::JobSample> Sample();
  absl::Status StartCaches();
  void Tick(const std::stop_token& stop);

  const RunOptions options_;
  const std::string log_folder_;
  Duration end_grace_ = 3s;  // for workers that were told to stop
  Request key_;
  RealClock clock_;
  local::ApiServer server_;
  topology::Hub hub_;
  controller::Informer jobs_;
  controller::Informer pods_;
  controller::Informer graphs_;
  std::unique_ptr<grpc_service::TopologyServer> topology_;
  std::unique_ptr<metrics::OperatorMetrics> metrics_;
  std::unique_ptr<training_job::TrainingJobReconciler> reconciler_;
  std::unique_ptr<controller::Controller> controller_;
  std::atomic<controller::Controller*> queue_ = nullptr;  // while it takes names
  std::unique_ptr<local::ProcessKubelet> kubelet_;
  std::unique_ptr<console::Faults> faults_;
  std::jthread ticker_;
  std::unique_ptr<Supervisor> supervisor_;
};

absl::Status LocalOperator::Start(const nlohmann::json& job) {
  const auto created = server_.Create(kJobs, job);
  if (!created.ok()) return created.status();
  key_ = controller::KeyOf(*created);  // before the parts start, whose threads read it
  supervisor_ = std::make_unique<Supervisor>(Parts());
  const absl::Status status = supervisor_->Start();
  if (status.ok()) Enqueue(key_);  // the caches had it before there was a queue
  return status;
}

std::vector<Part> LocalOperator::Parts() {
  const auto nothing = [] { return absl::OkStatus(); };
  return {
      {"topology",  // before the reconciler, which tells pods its port
       [this] {
         auto server = grpc_service::TopologyServer::Start(hub_, {});
         if (server.ok()) topology_ = *std::move(server);
         return server.status();
       },
       [this] {
         topology_.reset();
         return absl::OkStatus();
       }},
      {"metrics",
       [this] {
         auto metrics = metrics::OperatorMetrics::Serve(
             {.address = options_.metrics, .jobs = [this] { return Sample(); }});
         if (!metrics.ok()) {
           return absl::InvalidArgumentError(
               fmt::format("--metrics {}: cannot be served; allowed is host:port, an address of "
                           "this machine and a free port",
                           options_.metrics));
         }
         metrics_ = *std::move(metrics);
         return absl::OkStatus();
       },
       nothing},  // the controller tells it of its end
      {"caches", [this] { return StartCaches(); },
       [this] {
         for (auto* cache : {&jobs_, &pods_, &graphs_}) cache->Stop();
         return absl::OkStatus();
       }},
      {"controller",
       [this] {
         reconciler_ = std::make_unique<training_job::TrainingJobReconciler>(
             training_job::ReconcilerParts{.client = &server_,
                                           .jobs = &jobs_.store(),
                                           .pods = &pods_.store(),
                                           .graphs = &graphs_.store(),
                                           .hub = &hub_,
                                           .clock = &clock_,
                                           .wall = [] { return std::chrono::system_clock::now(); }},
             training_job::WorkerLaunch{.hub_address =
                                            fmt::format("127.0.0.1:{}", topology_->port())});
         controller_ = std::make_unique<controller::Controller>(
             reconciler_.get(), &clock_, metrics_.get(),
             controller::ControllerOptions{.name = "trainingjob"});
         queue_ = controller_.get();
         controller_->Start();
         return absl::OkStatus();
       },
       [this] {
         queue_ = nullptr;
         controller_->Stop();
         return absl::OkStatus();
       }},
      {"hub clock",
       [this] {
         ticker_ = std::jthread([this](const std::stop_token& stop) { Tick(stop); });
         return absl::OkStatus();
       },
       [this] {
         ticker_ = {};
         return absl::OkStatus();
       }},
      {"pods",
       [this] {
         kubelet_ = std::make_unique<local::ProcessKubelet>(
             &server_, &clock_, local::ProcessKubeletOptions{.log_directory = log_folder_});
         kubelet_->Start();
         return absl::OkStatus();
       },
       [this] {
         WaitForPodsToEnd();
         kubelet_->Stop();
         return absl::OkStatus();
       }},
      {"faults",
       [this] {
         faults_ = std::make_unique<console::Faults>([this](const std::string& pod, int signal) {
           return kubelet_->Signal({key_.name_space, pod}, signal);
         });
         return absl::OkStatus();
       },
       [this] {
         faults_.reset();  // sets going whoever is stopped
         return absl::OkStatus();
       }},
  };
}

absl::Status LocalOperator::StartCaches() {
  jobs_.Subscribe([this](const controller::ObjectChange& change) {
    Enqueue(controller::KeyOf(change.now ? *change.now : *change.before));
  });
  pods_.Subscribe([this](const controller::ObjectChange& change) {
    const nlohmann::json& pod = change.now ? *change.now : *change.before;
    const api::ObjectMeta metadata = api::MetadataOf(pod);
    const auto job = metadata.labels.find(api::kJobNameLabel);
    if (job != metadata.labels.end()) Enqueue({metadata.name_space, job->second});
  });
  for (auto* cache : {&jobs_, &pods_, &graphs_}) cache->Start();
  for (auto* cache : {&jobs_, &pods_, &graphs_}) {
    if (!cache->WaitForSync(clock_.Now() + kSyncLimit)) {
      return absl::DeadlineExceededError("the first list did not come");
    }
  }
  return absl::OkStatus();
}

void LocalOperator::Tick(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    hub_.Tick();
    std::this_thread::sleep_for(topology::Hub::kTickInterval / 2);
  }
}

// Workers that were told to stop end by themselves; who does not is killed.
void LocalOperator::WaitForPodsToEnd() {
  const Time deadline = clock_.Now() + end_grace_;
  while (!kubelet_->Running().empty() && clock_.Now() < deadline) {
    std::this_thread::sleep_for(kTurn / 10);
  }
}

absl::StatusOr<api::TrainingJob> LocalOperator::Job() {
  const auto object = server_.Get(kJobs, key_.name_space, key_.name);
  if (!object.ok()) return object.status();
  auto job = api::TrainingJobFromJson(*object);
  if (job.ok() && object->contains("status")) {
    job->status = api::StatusFromJson((*object)["status"]);
  }
  return job;
}

// Read, change and write the job's object, again when somebody else wrote meanwhile.
absl::Status LocalOperator::Change(const std::function<void(nlohmann::json&)>& change) {
  absl::Status status;
  for (int i = 0; i < kWriteTries; ++i) {
    auto object = server_.Get(kJobs, key_.name_space, key_.name);
    if (!object.ok()) return object.status();
    change(*object);
    status = server_.Update(kJobs, *object).status();
    if (!absl::IsAborted(status)) break;
  }
  return status;
}

absl::Status LocalOperator::Scale(int replicas) {
  const auto job = Job();
  if (!job.ok()) return job.status();
  const api::Workers& workers = job->spec.workers;
  if (replicas < workers.min_replicas || replicas > workers.max_replicas) {
    return absl::InvalidArgumentError(fmt::format("allowed is minReplicas {} to maxReplicas {}",
                                                  workers.min_replicas, workers.max_replicas));
  }
  return Change(
      [replicas](nlohmann::json& object) { object["spec"]["workers"]["replicas"] = replicas; });
}

console::Verbs LocalOperator::Verbs() {
  return {
      .scale = [this](int replicas) { return Scale(replicas); },
      .kill = [this](const std::string& pod) { return faults_->Kill(pod); },
      .slow = [this](const std::string& pod, double factor) { return faults_->Slow(pod, factor); },
      .pause = [this](const std::string& pod,
                      double seconds) { return faults_->Pause(pod, FromSeconds(seconds)); },
      .stop =
          [this] {
            return Change([](nlohmann::json& object) {
              object["metadata"]["annotations"][api::kStopRequestedAnnotation] = "true";
            });
          },
      .state = [this](const std::string& pod) -> std::string {
        switch (faults_->StateOf(pod)) {
          case console::Faults::State::kRunning:
            return "";
          case console::Faults::State::kSlowed:
            return "slowed";
          case console::Faults::State::kPaused:
            return "paused";
        }
        return "";
      }};
}

std::string LocalOperator::MetricsUrl() const {
  const std::string& asked = options_.metrics;  // its port may be 0, for any
  return fmt::format("http://{}:{}/metrics", asked.substr(0, asked.rfind(':')), metrics_->port());
}

std::vector<metrics::JobSample> LocalOperator::Sample() {
  const auto job = Job();
  if (!job.ok()) return {};
  return {{.name_space = key_.name_space,
           .name = key_.name,
           .desired_workers = job->spec.workers.replicas,
           .spectral_gap = job->status.graph.spectral_gap,
           .stats = Stats()}};
}

// What the person sees: a screen on a terminal, lines elsewhere.
class Display {
 public:
  // Standard error would disturb the screen, so it goes to a file meanwhile.
  explicit Display(const std::string& log_folder) : terminal_(console::Terminal::Open()) {
    if (terminal_ == nullptr) return;
    const std::string path = log_folder + "/grapevine.log";
    const int log = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log < 0) {
      terminal_.reset();
      return;
    }
    standard_error_ = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    dup2(log, STDERR_FILENO);
    close(log);
  }

  void Show(console::RunSession& session, Time now) {
    TellNews(session);
    if (terminal_ != nullptr) {
      while (const auto key = terminal_->ReadKey()) session.OnKey(*key, now);
      if (now - drawn_ >= kDrawEvery) terminal_->Draw(session.View(now));
      if (now - drawn_ >= kDrawEvery) drawn_ = now;
      return;
    }
    if (now - drawn_ >= kProgressEvery) {
      fmt::print("{}\n", console::ProgressLine(session.View(now)));
      drawn_ = now;
    }
    std::fflush(stdout);
  }

  // Gives the terminal back and leaves the last events on it.
  void Close(console::RunSession& session) {
    TellNews(session);
    terminal_.reset();
    if (standard_error_ >= 0) {
      dup2(standard_error_, STDERR_FILENO);
      close(standard_error_);
    }
    for (const std::string& line : last_news_) fmt::print("{}\n", line);
  }

 private:
  void TellNews(console::RunSession& session) {
    for (const std::string& line : session.TakeNews()) {
      if (terminal_ == nullptr) {
        fmt::print("{}\n", line);
        continue;
      }
      last_news_.push_back(line);
      if (last_news_.size() > kNewsLeft) last_news_.pop_front();
    }
  }

  static constexpr size_t kNewsLeft = 20;

  std::unique_ptr<console::Terminal> terminal_;
  int standard_error_ = -1;  // the person's, while the screen is theirs
  std::deque<std::string> last_news_;
  Time drawn_{};
};

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
void Watch(LocalOperator& local, console::RunSession& session, Display& display,
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

void Summarise(const console::Outcome& outcome, const std::string& log_folder) {
  const nlohmann::json report = console::ReportJson(outcome);
  const auto number = [](const nlohmann::json& value, double scale, const char* unit) {
    return value.is_number() ? fmt::format("{:.2f}{}", value.get<double>() * scale, unit)
                             : std::string("unknown");
  };
  fmt::print("{} {}: accuracy {}, {:.1f} s, {} members joined, {} left, {} lost, {} exchanges\n",
             outcome.job, outcome.state, number(report["accuracy"], 100, "%"), outcome.seconds,
             outcome.stats.joined, outcome.stats.left, outcome.stats.lost,
             outcome.stats.exchanges.completed);
  if (!outcome.message.empty()) fmt::print("{}\n", outcome.message);
  if (!outcome.stats.final_checkpoint.empty()) {
    fmt::print("checkpoint {}\n", outcome.stats.final_checkpoint);
  }
  for (const console::EventRecord& event : outcome.events) {
    if (!event.at) fmt::print("never fired: {}\n", event.what);
  }
  fmt::print("logs in {}\n", log_folder);
  if (outcome.state != "Succeeded" && console::HasCheckpoint(log_folder)) {
    fmt::print("--resume {} goes on from its checkpoint\n", outcome.uid);
  }
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

int Fail(const absl::Status& status) {
  fmt::print(stderr, "grapevine: {}\n", std::string(status.message()));
  return absl::IsInvalidArgument(status) || absl::IsNotFound(status) ? kBadInput : 1;
}

int Run(const RunOptions& options, const sigset_t& signals) {
  auto plan = MakePlan(options);
  if (!plan.ok()) return Fail(plan.status());
  LocalOperator local(options, plan->log_folder);
  const RealClock clock;
  const Time started = clock.Now();
  if (const absl::Status status = local.Start(plan->file.object); !status.ok()) {
    return Fail(status);
  }
  console::RunSession session(plan->file.job, plan->script, local.Verbs(), started);
  session.Say(started, fmt::format("metrics at {}", local.MetricsUrl()));
  Display display(plan->log_folder);
  Watch(local, session, display, signals);
  const console::Outcome outcome = session.MakeOutcome(clock.Now());
  display.Close(session);
  local.Stop();
  Summarise(outcome, plan->log_folder);
  if (!options.report.empty()) {
    const absl::Status status = console::WriteReport(options.report, console::ReportJson(outcome));
    if (!status.ok()) return Fail(status);
  }
  return session.ExitStatus();
}

}  // namespace
}  // namespace grapevine

int main(int argc, char** argv) {
  using namespace grapevine;
  // Blocked in every thread, since the threads are made later: the main thread asks for them.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
  sigprocmask(SIG_BLOCK, &signals, nullptr);

  CLI::App app("Trains neural networks by gossip.", "grapevine");
  app.require_subcommand(1);
  RunOptions options;
  std::string format = "text";
  CLI::App* run =
      app.add_subcommand("run", "Train a job on this machine, its workers as processes.");
  run->add_option("job", options.job.file, "the job, a YAML file")->required();
  run->add_option("--dataset-path", options.job.dataset_path, "folder of the data set");
  run->add_option("--workers", options.job.workers,
                  "so many workers; widens the job's minimum and maximum to include it")
      ->check(CLI::Range(1, 1000));
  run->add_option("--set", options.job.set, "another value for a field: training.epochs=3")
      ->take_all()
      ->allow_extra_args(false);
  run->add_option("--events", options.events, "30%:scale=6,50%:kill=1,20s:slow=1x10,1s:pause=1x20");
  run->add_option("--report", options.report, "write the outcome as JSON to this file");
  run->add_option("--resume", options.resume, "go on with the checkpoint of an earlier run's uid");
  run->add_option("--metrics", options.metrics, "host:port of the operator's Prometheus metrics");
  run->add_option("--log-format", format, "text or json")->check(CLI::IsMember({"text", "json"}));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kBadInput;
  }
  StartLog({.format = format == "json" ? LogFormat::kJson : LogFormat::kText, .level = "warn"})
      .IgnoreError();
  return Run(options, signals);
}
