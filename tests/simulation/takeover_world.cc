#include "tests/simulation/takeover_world.h"

#include <algorithm>

#include "fmt/format.h"
#include "operator/training_job/apply.h"

namespace grapevine::simulation {

namespace proto = control::proto;
using training_job::kCommunicationGraphs;
using training_job::kPods;
using training_job::kTrainingJobs;

controller::ForwardingClient::Answer FailingClient::UpdateStatus(
    const controller::Resource& resource, const nlohmann::json& object) {
  if (graphs_fail && resource == kCommunicationGraphs) return absl::UnavailableError("not now");
  return ForwardingClient::UpdateStatus(resource, object);
}

void WorkerParts::Build(const proto::Assign& assign) {
  queue.reset();
  answers_.push_back([uid = assign.job_uid()](control::Session& session) {
    proto::Built built;
    built.set_layout_hash(7);
    built.set_samples(TakeoverWorld::kSamples);
    session.OnBuilt(uid, built);
  });
}

void WorkerParts::BecomeMember(uint64_t member) {
  if (!queue) {
    queue = std::make_unique<train::LeaseQueue>(train::LeaseQueueOptions{
        .batches_per_data_epoch = TakeoverWorld::kSamples / TakeoverWorld::kBatch});
  }
  queue->Clear();
  ids.push_back(member);
  epochs.clear();
  training = finishing = idle = false;
}

void WorkerParts::Begin(const proto::Start&) {
  ++starts;
  training = finishing = false;
  answers_.push_back([](control::Session& session) { session.OnStarted(absl::OkStatus(), 0); });
}

void WorkerParts::SetView(const gossip::View& view) {
  if (epochs.empty() || view.epoch > epochs.back()) epochs.push_back(view.epoch);
}

void WorkerParts::Finish() {
  training = false;
  finishing = true;
}

void WorkerParts::Evaluate(uint64_t id) {
  answers_.push_back([id](control::Session& session) {
    proto::Evaluated evaluated;
    evaluated.set_id(id);
    session.OnEvaluated(id, absl::OkStatus(), evaluated);
  });
}

void WorkerParts::Finalize(const proto::Finalize& request) {
  answers_.push_back([id = request.id()](control::Session& session) {
    proto::Finalized finalized;
    finalized.set_id(id);
    finalized.set_test_samples(1000);
    finalized.set_evaluation_seconds(10);
    session.OnFinalized(finalized);
  });
}

void WorkerParts::EvaluateSlice(const proto::EvaluateSlice& request) {
  answers_.push_back([id = request.id()](control::Session& session) {
    proto::SliceEvaluated evaluated;
    evaluated.set_id(id);
    session.OnSliceEvaluated(evaluated);
  });
}

void WorkerParts::FillReport(proto::Report& report) {
  report.set_steps(steps_);
  report.set_samples_per_second(TakeoverWorld::kBatch / 0.02);
  report.set_settled(finishing);
}

void WorkerParts::Stop(const std::string&, bool) {
  stopped = true;
  training = false;
}

void WorkerParts::Step(control::Session& session) {
  if (under_way_) {
    queue->Done(*std::exchange(under_way_, std::nullopt));
    ++steps_;
  }
  if (training && queue->unstarted() > 0) {
    const train::Draw draw = *queue->Next();
    if (queue->Start(draw)) {
      ++(*trained_)[{draw.data_epoch, draw.batch}];
      under_way_ = draw;
    }
  }
  for (const auto& answer : std::exchange(answers_, {})) answer(session);
}

Worker::Worker(const std::string& pod, const std::string& pod_uid, std::map<Batch, int>* trained)
    : parts(trained),
      session({.name_space = "default",
               .job = "digits",
               .pod = pod,
               .pod_uid = pod_uid,
               .address = pod + ":1"},
              parts, [this](const proto::WorkerMessage& message) { outbox.push_back(message); }) {}

TakeoverWorld::TakeoverWorld(const WorldOptions& options)
    : random(options.seed), options_(options), deaths_left_(options.deaths) {
  api::TrainingJob job;
  job.metadata.name = "digits";
  job.metadata.name_space = "default";
  job.metadata.uid = "u1";
  job.spec.training.epochs = options.data_epochs;
  job.spec.training.batch_size = kBatch;
  job.spec.workers.replicas = options.workers;
  job.spec.workers.max_replicas = 64;
  job.spec.workers.pod_template = {
      {"spec", {{"containers", {{{"name", "w"}, {"command", {"true"}}}}}}}};
  if (!server_.Create(kTrainingJobs, api::ToJson(job)).ok()) problems.push_back("no job");
  StartLeader();
}

TakeoverWorld::~TakeoverWorld() = default;

void TakeoverWorld::Refresh() {
  const auto list = [this](const controller::Resource& resource) {
    auto found = server_.List(resource, "", {});
    return (*found)["items"].get<std::vector<nlohmann::json>>();
  };
  jobs_.Replace(list(kTrainingJobs));
  pods_.Replace(list(kPods));
  graphs_.Replace(list(kCommunicationGraphs));
}

void TakeoverWorld::StartLeader() {
  ++leaders;
  leader_at_ = clock.now;
  hub = std::make_unique<topology::Hub>(clock, [this](const topology::JobKey&) { due_ = true; });
  reconciler_ = std::make_unique<training_job::TrainingJobReconciler>(
      training_job::ReconcilerParts{
          .client = &client_,
          .jobs = &jobs_,
          .pods = &pods_,
          .graphs = &graphs_,
          .hub = hub.get(),
          .clock = &clock,
          .wall = [] { return api::WallTime(std::chrono::seconds(1'700'000'000)); },
          .on_event = {}},
      training_job::WorkerLaunch{.hub_address = "hub:1"});
  due_ = true;
}

// At any point between two of its calls: what it was about to say or write is gone with it.
void TakeoverWorld::KillLeader() {
  for (auto& [pod, worker] : workers) {
    if (!worker->sink) continue;
    worker->sink.reset();
    worker->outbox.clear();
    if (worker->alive) worker->session.OnDisconnected();
  }
  reconciler_.reset();
  hub.reset();
  published_.clear();
  client_.graphs_fail = false;
}

void TakeoverWorld::KillWorker(Worker& worker) {
  worker.alive = false;
  for (auto& [pod, each] : workers) {
    if (each.get() != &worker) continue;
    auto object = server_.Get(kPods, "default", pod);
    if (!object.ok()) return;
    (*object)["status"]["phase"] = "Failed";
    (void)server_.UpdateStatus(kPods, *object);
  }
  if (hub && worker.sink) hub->OnDisconnect(worker.stream);
  worker.sink.reset();
  due_ = true;
}

void TakeoverWorld::RunPods() {
  auto list = server_.List(kPods, "", {});  // outlives the loop over what is in it
  for (nlohmann::json pod : (*list)["items"]) {
    const std::string name = pod["metadata"]["name"];
    if (workers.contains(name)) continue;
    pod["status"]["phase"] = "Running";
    (void)server_.UpdateStatus(kPods, pod);
    workers[name] = std::make_unique<Worker>(name, pod["metadata"]["uid"], &trained);
    due_ = true;
  }
}

void TakeoverWorld::Serve(Worker& worker) {
  if (!worker.alive || worker.parts.stopped) return;
  if (worker.sink && worker.sink->closed) {
    worker.session.OnDisconnected();
    if (hub) hub->OnDisconnect(worker.stream);
    worker.sink.reset();
    worker.outbox.clear();
  }
  if (hub && !worker.sink && random() % 10 == 0) {
    worker.sink = std::make_shared<WorkerSink>();
    worker.stream = hub->Connect(worker.sink);
    worker.session.OnConnected();
  }
  if (worker.sink) {
    for (const auto& message : std::exchange(worker.sink->inbox, {})) {
      worker.session.OnMessage(message);
      CheckView(worker);
    }
    worker.session.Tick(clock.now);
  }
  worker.parts.Step(worker.session);
  for (const auto& message : std::exchange(worker.outbox, {})) {
    if (worker.sink) hub->OnMessage(worker.stream, message);
  }
}

void TakeoverWorld::Reconcile() {
  Refresh();
  due_ = false;
  again_ = Time::max();
  const auto result = reconciler_->Reconcile({"default", "digits"});
  if (!result.ok()) {
    again_ = clock.now + 100ms;
  } else if (result->requeue_after) {
    again_ = clock.now + *result->requeue_after;
  }
  NoteGraph();
}

void TakeoverWorld::NoteGraph() {
  const topology::Snapshot now = Observe();
  if (!now.views_unknown) published_[now.epoch] = now.graph->Describe();
}

// All living who were shown an epoch were shown the same graph. One that nobody saw may come again.
void TakeoverWorld::CheckView(const Worker& worker) {
  if (worker.parts.epochs.empty()) return;
  const uint64_t epoch = worker.parts.epochs.back();
  const auto graph = published_.find(epoch);
  if (graph == published_.end()) return;
  shown_[epoch][&worker] = graph->second;
  for (const auto& [other, seen] : shown_[epoch]) {
    if (other->alive && seen != graph->second) {
      problems.push_back(fmt::format("epoch {} was published twice", epoch));
    }
  }
}

void TakeoverWorld::ActAtRandom() {
  if (Over()) return;
  if (!hub) {
    if (random() % 50 == 0) StartLeader();
    return;
  }
  if (random() % 200 == 0) {
    const bool unwritten = static_cast<double>(random() % 100) < 100 * options_.graph_failures;
    client_.graphs_fail = unwritten;
    if (!unwritten) KillLeader();
  } else if (client_.graphs_fail && random() % 20 == 0) {
    KillLeader();
  } else if (deaths_left_ > 0 && !workers.empty() && random() % 100 == 0) {
    auto victim = std::next(workers.begin(), static_cast<int64_t>(random() % workers.size()));
    if (!victim->second->alive || !victim->second->parts.training) return;
    --deaths_left_;
    KillWorker(*victim->second);
  }
}

void TakeoverWorld::Step() {
  clock.now += 20ms;
  RunPods();
  std::vector<Worker*> order;
  for (auto& [pod, worker] : workers) order.push_back(worker.get());
  std::shuffle(order.begin(), order.end(), random);
  for (Worker* worker : order) Serve(*worker);
  if (hub) {
    hub->Tick();
    for (int round = 0; round < 5 && (due_ || clock.now >= again_); ++round) Reconcile();
  }
}

void TakeoverWorld::Run(Duration time) {
  const Time end = clock.now + time;
  while (clock.now < end && !Over()) {
    ActAtRandom();
    Step();
  }
}

int64_t TakeoverWorld::trainers() const {
  return std::ranges::count_if(workers,
                               [](const auto& each) { return each.second->parts.training; });
}

nlohmann::json TakeoverWorld::Status(const controller::Resource& resource) const {
  const auto object = const_cast<local::ApiServer&>(server_).Get(resource, "default", "digits");
  return object.ok() && object->contains("status") ? object->at("status") : nlohmann::json();
}

bool TakeoverWorld::Over() const {
  const auto status = api::StatusFromJson(Status(kTrainingJobs));
  return api::IsTrue(status.conditions, api::kSucceeded) ||
         api::IsTrue(status.conditions, api::kFailed);
}

}  // namespace grapevine::simulation
