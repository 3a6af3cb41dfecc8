#include "operator/assembly/cluster_operator.h"

#include <unistd.h>

#include <random>
#include <thread>
#include <utility>

#include "fmt/format.h"
#include "operator/api/labels.h"
#include "operator/base/log.h"
#include "operator/training_job/apply.h"

namespace grapevine::assembly {
namespace {

constexpr char kLeaseName[] = "grapevine-operator";
constexpr Duration kTurn = 100ms;
// For what is being reconciled when the end comes; then a kubelet's patience is near its end too.
constexpr Duration kEndLimit = 30s;
constexpr Duration kSyncLimit = 60s;  // for the first lists

// No two processes have the same, a restarted container neither.
std::string MakeIdentity(const PodIdentity& pod) {
  char host[256] = "unknown";
  gethostname(host, sizeof(host) - 1);
  std::random_device random;
  return fmt::format("{}_{:08x}{:08x}", pod.name.empty() ? host : pod.name, random(), random());
}

// Where pods reach the hub; empty: where it listens, on this machine.
std::string TopologyAddress(const ClusterOperatorOptions& options) {
  const std::string& ip = options.pod.ip;
  if (!options.topology_address.empty() || ip.empty()) return options.topology_address;
  const bool v6 = ip.find(':') != std::string::npos;
  const std::string port = options.topology_listen.substr(options.topology_listen.rfind(':'));
  return v6 ? fmt::format("[{}]{}", ip, port) : ip + port;
}

bool IsPending(const sigset_t& signals) {
  sigset_t pending;
  sigpending(&pending);
  sigset_t both;
  sigandset(&both, &signals, &pending);
  return sigisemptyset(&both) == 0;
}

// Ends the process when its end in order takes too long, or when a second signal says so.
std::jthread WatchTheEnd(const sigset_t& signals) {
  return std::jthread([signals](const std::stop_token& stop) {
    const RealClock clock;
    const Time deadline = clock.Now() + kEndLimit;
    const timespec turn{.tv_sec = 0, .tv_nsec = kTurn.count()};
    while (!stop.stop_requested()) {
      const bool again = sigtimedwait(&signals, nullptr, &turn) > 0;
      if (!again && clock.Now() < deadline) continue;
      LogError("{}: ends at once", again ? "a second signal" : "the end in order takes too long");
      _exit(1);
    }
  });
}

}  // namespace

ClusterOperator::ClusterOperator(controller::ApiClient* client, metrics::OperatorMetrics* metrics,
                                 const sigset_t& signals, ClusterOperatorOptions options)
    : client_(client),
      metrics_(metrics),
      signals_(signals),
      options_(std::move(options)),
      identity_(MakeIdentity(options_.pod)),
      elector_(client, &clock_,
               {.leader = {.identity = identity_},
                .name_space = options_.lease_name_space,
                .name = kLeaseName,
                .wall = [] { return std::chrono::system_clock::now(); }}),
      engine_(client, &clock_, metrics, EngineOptions()) {}

JobEngineOptions ClusterOperator::EngineOptions() {
  return {.name_spaces = options_.name_spaces,
          .topology_listen = options_.topology_listen,
          .topology_address = TopologyAddress(options_),
          .worker_image = options_.worker_image,
          .pod_network = true,
          .watch_nodes = true,
          .companions = true,
          .threads = options_.threads,
          .sync_limit = kSyncLimit,
          .give_up = [this] { return IsPending(signals_); },
          .on_event = [this](const controller::Request& job,
                             const training_job::JobEvent& event) { RecordEvent(job, event); }};
}

absl::Status ClusterOperator::Run() {
  Supervisor outer(OuterParts());
  if (absl::Status status = outer.Start(); !status.ok()) return status;
  LogInfo("metrics on port {}, probes on port {}", metrics_->port(), health_->port());
  const absl::Status status = Lead();
  ending_ = true;
  const std::jthread watcher = WatchTheEnd(signals_);
  const absl::Status stopped = outer.Stop();  // the lease is given back once the engine has stopped
  return status.ok() ? stopped : status;
}

// Waits for the lead and uses it.
absl::Status ClusterOperator::Lead() {
  const timespec turn{.tv_sec = 0, .tv_nsec = kTurn.count()};
  Supervisor leader(LeaderParts());
  bool started = false;
  while (true) {
    if (sigtimedwait(&signals_, nullptr, &turn) > 0) break;
    if (options_.leader_elect && elector_.lost()) {
      // Somebody else may act by now: nothing is drained.
      LogError("the lead is lost; this process ends");
      _exit(1);
    }
    if (started || (options_.leader_elect && !elector_.leading())) continue;
    started = true;
    leads_ = true;
    if (absl::Status status = leader.Start(); !status.ok()) return status;
    runs_ = true;
    LogInfo("workers are served at {}", engine_.topology_address());
  }
  LogInfo("asked to end");
  ending_ = true;
  runs_ = false;
  const std::jthread watcher = WatchTheEnd(signals_);
  return leader.Stop();
}

std::vector<Part> ClusterOperator::OuterParts() {
  const auto nothing = [] { return absl::OkStatus(); };
  return {
      {"metrics",  // before all that it tells of
       [this] { return metrics_->Serve(options_.metrics_address); },
       [this] {
         metrics_->StopServing();
         return absl::OkStatus();
       }},
      {"health",
       [this] {
         auto server = health::HealthServer::Serve({.address = options_.health_address,
                                                    .live = [this] { return elector_.Health(); },
                                                    .ready = [this] { return Ready(); }});
         if (server.ok()) health_ = *std::move(server);
         return server.status();
       },
       nothing},  // it says "not ready" until the process has ended
      {"events",
       [this] {
         events_ = std::make_unique<controller::EventRecorder>(
             client_, &clock_,
             controller::EventRecorderOptions{.controller = "grapevine.dev/operator",
                                              .instance = identity_,
                                              .seed = std::hash<std::string>()(identity_)});
         return absl::OkStatus();
       },
       [this] {
         events_.reset();  // the last ones are written
         return absl::OkStatus();
       }},
      {"election",  // gives the lease back first of all: its work has stopped by then
       [this] {
         if (options_.leader_elect) elector_.Start();
         return absl::OkStatus();
       },
       [this] {
         elector_.Stop();
         return absl::OkStatus();
       }},
  };
}

std::vector<Part> ClusterOperator::LeaderParts() {
  std::vector<Part> parts = engine_.Parts();
  parts.push_back({"leader label",  // last: workers come when the hub knows its jobs
                   [this] { return BearLabel(); }, [this] { return DropLabel(); }});
  return parts;
}

// A leader that was killed, or whose machine was lost, has the label still.
absl::Status ClusterOperator::BearLabel() {
  metrics_->SetLeading(true);
  if (options_.pod.name.empty() || options_.pod.name_space.empty()) return absl::OkStatus();
  const auto bearers = client_->List(training_job::kPods, options_.pod.name_space,
                                     {.selector = fmt::format("{}=true", api::kLeaderLabel)});
  if (!bearers.ok()) return bearers.status();
  for (const nlohmann::json& pod : bearers->value("items", nlohmann::json::array())) {
    const std::string name = controller::KeyOf(pod).name;
    if (name == options_.pod.name) continue;
    const absl::Status status = Label(name, false);
    if (!status.ok() && !absl::IsNotFound(status)) return status;
  }
  return Label(options_.pod.name, true);
}

absl::Status ClusterOperator::DropLabel() {
  metrics_->SetLeading(false);
  if (options_.pod.name.empty() || options_.pod.name_space.empty()) return absl::OkStatus();
  return Label(options_.pod.name, false);
}

absl::Status ClusterOperator::Label(const std::string& pod, bool leader) {
  const nlohmann::json value = leader ? nlohmann::json("true") : nlohmann::json(nullptr);
  return client_
      ->Patch(training_job::kPods, options_.pod.name_space, pod,
              {{"metadata", {{"labels", {{api::kLeaderLabel, value}}}}}})
      .status();
}

absl::Status ClusterOperator::Ready() const {
  if (ending_) return absl::UnavailableError("it is ending");
  if (leads_ && !runs_) return absl::UnavailableError("it leads, and reads what there is");
  return absl::OkStatus();
}

void ClusterOperator::RecordEvent(const controller::Request& job,
                                  const training_job::JobEvent& event) {
  const controller::Object object = engine_.Find(job);
  events_->Record({.regarding = {.api_version = api::kApiVersion,
                                 .kind = api::kTrainingJobKind,
                                 .name_space = job.name_space,
                                 .name = job.name,
                                 .uid = object ? controller::UidOf(*object) : ""},
                   .warning = event.warning,
                   .reason = event.reason,
                   .action = "Reconcile",
                   .note = event.note});
}

}  // namespace grapevine::assembly
