#include "operator/assembly/job_engine.h"

#include <algorithm>
#include <array>
#include <utility>

#include "fmt/format.h"
#include "operator/api/labels.h"
#include "operator/api/validation.h"
#include "operator/training_job/apply.h"
#include "operator/training_job/learning.h"
#include "operator/training_job/lost_nodes.h"

namespace grapevine::assembly {

namespace {

constexpr Duration kSyncTurn = 100ms;

}  // namespace

using controller::Request;

JobEngine::JobEngine(controller::ApiClient* client, const Clock* clock, controller::Probe* probe,
                     JobEngineOptions options)
    : client_(client),
      clock_(clock),
      probe_(probe),
      options_(std::move(options)),
      hub_(*clock,
           [this](const topology::JobKey& job) {
             Enqueue({job.name_space, job.name});
           }),
      jobs_(client, clock,
            {.resource = training_job::kTrainingJobs, .name_spaces = options_.name_spaces}),
      pods_(client, clock,
            {.resource = training_job::kPods,
             .name_spaces = options_.name_spaces,
             .selector = api::kJobNameLabel,
             .indexed_label = api::kJobNameLabel,
             .trim = training_job::TrimWorkerPod}),
      graphs_(
          client, clock,
          {.resource = training_job::kCommunicationGraphs, .name_spaces = options_.name_spaces}),
      nodes_(client, clock, {.resource = training_job::kNodes, .trim = training_job::TrimNode}) {}

std::vector<Part> JobEngine::Parts() {
  return {
      {"topology",  // before the reconciler, which tells pods its port
       [this] { return Listen(); },
       [this] {
         topology_.reset();
         return absl::OkStatus();
       }},
      {"caches",  // before the reconciler, which reads nothing else
       [this] { return StartCaches(); },
       [this] {
         for (auto* cache : {&jobs_, &pods_, &graphs_, &nodes_}) cache->Stop();
         return absl::OkStatus();
       }},
      {"controller",
       [this] {
         StartController();
         return absl::OkStatus();
       },
       [this] {
         StopController();
         return absl::OkStatus();
       }},
      {"hub clock",  // last: whom it finds late, the reconciler takes off the roster
       [this] {
         ticker_ = std::jthread([this](const std::stop_token& stop) { Tick(stop); });
         return absl::OkStatus();
       },
       [this] {
         ticker_ = {};
         return absl::OkStatus();
       }},
  };
}

void JobEngine::Enqueue(const Request& job) {
  if (controller::Controller* queue = queue_) queue->Enqueue(job);
}

topology::JobStats JobEngine::Stats(const Request& job) const {
  return hub_.Stats({job.name_space, job.name});
}

std::vector<metrics::JobSample> JobEngine::Sample() const {
  std::vector<metrics::JobSample> samples;
  for (const controller::Object& object : jobs_.store().List()) {
    const Request key = controller::KeyOf(*object);
    const api::TrainingJobSpec spec = api::ParseTrainingJob(*object).job.spec;
    const auto status = object->find("status");
    samples.push_back({.name_space = key.name_space,
                       .name = key.name,
                       .desired_workers = spec.suspend ? 0 : spec.workers.replicas,
                       .min_workers = spec.workers.min_replicas,
                       .guessing_loss = training_job::GuessingLoss(spec.training),
                       .status = status == object->end() ? api::TrainingJobStatus()
                                                         : api::StatusFromJson(*status),
                       .stats = Stats(key)});
  }
  return samples;
}

std::string JobEngine::topology_address() const {
  const std::string& address = options_.topology_address;
  return address.empty() ? fmt::format("127.0.0.1:{}", topology_->port()) : address;
}

absl::Status JobEngine::Listen() {
  auto server = grpc_service::TopologyServer::Start(hub_, {.listen = options_.topology_listen});
  if (server.ok()) topology_ = *std::move(server);
  return server.status();
}

absl::Status JobEngine::StartCaches() {
  jobs_.Subscribe([this](const controller::ObjectChange& change) {
    Enqueue(controller::KeyOf(change.now ? *change.now : *change.before));
  });
  pods_.Subscribe([this](const controller::ObjectChange& change) {
    EnqueueJobOf(change.now ? *change.now : *change.before);
  });
  if (options_.watch_nodes) {
    // Nobody waits for it: without the right to see nodes, pods are merely replaced later.
    nodes_.Subscribe([this](const controller::ObjectChange& change) { OnNode(change); });
    nodes_.Start();
  }
  const std::array<controller::Informer*, 3> caches = {&jobs_, &pods_, &graphs_};
  for (auto* cache : caches) cache->Start();
  const Time deadline = clock_->Now() + options_.sync_limit;
  for (auto* cache : caches) {
    if (!WaitForSync(*cache, deadline)) {
      for (auto* started : caches) started->Stop();
      nodes_.Stop();
      return absl::DeadlineExceededError(
          "the API server has not answered the first lists; the log says why");
    }
  }
  return absl::OkStatus();
}

// To all jobs that have pods there.
void JobEngine::OnNode(const controller::ObjectChange& change) {
  if (queue_ == nullptr || !training_job::NodeFaresOtherwise(change)) return;
  const std::string name = controller::KeyOf(change.now ? *change.now : *change.before).name;
  for (const controller::Object& pod : pods_.store().List()) {
    if (pod->value("/spec/nodeName"_json_pointer, "") == name) EnqueueJobOf(*pod);
  }
}

void JobEngine::EnqueueJobOf(const nlohmann::json& pod) {
  const api::ObjectMeta metadata = api::MetadataOf(pod);
  const auto job = metadata.labels.find(api::kJobNameLabel);
  if (job != metadata.labels.end()) Enqueue({metadata.name_space, job->second});
}

bool JobEngine::WaitForSync(controller::Informer& cache, Time deadline) const {
  while (!cache.HasSynced()) {
    const Time now = clock_->Now();
    if (now >= deadline || (options_.give_up && options_.give_up())) return false;
    cache.WaitForSync(std::min(deadline, now + kSyncTurn));
  }
  return true;
}

void JobEngine::StartController() {
  reconciler_ = std::make_unique<training_job::TrainingJobReconciler>(
      training_job::ReconcilerParts{.client = client_,
                                    .jobs = &jobs_.store(),
                                    .pods = &pods_.store(),
                                    .graphs = &graphs_.store(),
                                    .nodes = [this]() -> const controller::ObjectStore* {
                                      return nodes_.HasSynced() ? &nodes_.store() : nullptr;
                                    },
                                    .hub = &hub_,
                                    .companions = options_.companions,
                                    .clock = clock_,
                                    .wall = [] { return std::chrono::system_clock::now(); },
                                    .on_event = options_.on_event},
      training_job::WorkerLaunch{.hub_address = topology_address(),
                                 .image = options_.worker_image,
                                 .pod_network = options_.pod_network});
  controller_ = std::make_unique<controller::Controller>(
      reconciler_.get(), clock_, probe_,
      controller::ControllerOptions{.name = "trainingjob", .threads = options_.threads});
  queue_ = controller_.get();
  // The caches had these before there was a queue.
  for (const controller::Object& job : jobs_.store().List()) Enqueue(controller::KeyOf(*job));
  controller_->Start();
}

void JobEngine::StopController() {
  queue_ = nullptr;
  controller_->Stop();
}

void JobEngine::Tick(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    hub_.Tick();
    std::this_thread::sleep_for(topology::Hub::kTickInterval / 2);
  }
}

}  // namespace grapevine::assembly
