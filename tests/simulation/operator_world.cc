#include "tests/simulation/operator_world.h"

#include <algorithm>
#include <utility>

#include "fmt/format.h"
#include "operator/api/labels.h"
#include "operator/local/pod_process.h"
#include "operator/training_job/apply.h"

namespace grapevine::simulation {

using controller::Request;
using nlohmann::json;
using training_job::kCommunicationGraphs;
using training_job::kPods;
using training_job::kTrainingJobs;

namespace {

constexpr char kSpace[] = "default";
constexpr char kJob[] = "digits";
const Request kKey{kSpace, kJob};
constexpr Duration kStep = 20ms;
constexpr Duration kReport = 500ms;
constexpr Duration kEviction = 6s;  // from a node's silence; a cluster takes minutes
constexpr int kMostReconciles = 5;  // in one step

Duration Milliseconds(uint64_t count) { return static_cast<int64_t>(count) * 1ms; }

int Number(const json& object, const char* pointer) {
  return object.value(json::json_pointer(pointer), 0);
}

json SpecOf(int replicas) {
  return {{"training", {{"model", "mlp"}, {"dataset", {{"name", "digits"}}}, {"epochs", 100'000}}},
          {"failurePolicy", {{"maxRestarts", 1'000'000}}},
          {"workers",
           {{"replicas", replicas},
            {"minReplicas", 1},
            {"maxReplicas", 64},
            {"template", {{"spec", {{"containers", {{{"name", "worker"}}}}}}}}}}};
}

}  // namespace

struct OperatorWorld::Worker {
  explicit Worker(ImitatedWorker::Pod pod) : stream(std::move(pod)) {}

  WorkerStream stream;
  int life = 0;  // of the operator that it speaks to
  Time connects_at{};
  Time reports_at{};
  bool cut_off = false;
  bool leaving = false;
};

OperatorWorld::OperatorWorld(const Options& options)
    : random_(options.seed),
      api_(server_, clock_, [this] { return Wall(); }),
      nodes_(static_cast<size_t>(options.nodes)),
      replicas_(options.replicas) {
  api_.on_delete = [this](const std::string& pod) { OnDelete(pod); };
  const json job = {{"apiVersion", api::kApiVersion},
                    {"kind", api::kTrainingJobKind},
                    {"metadata", {{"name", kJob}, {"namespace", kSpace}, {"uid", "job"}}},
                    {"spec", SpecOf(replicas_)}};
  if (const auto created = server_.Create(kTrainingJobs, job); !created.ok()) {
    Fail(created.status().ToString());
  }
}

OperatorWorld::~OperatorWorld() = default;

api::WallTime OperatorWorld::Wall() const {
  return api::WallTime(std::chrono::seconds(1'700'000'000)) +
         std::chrono::duration_cast<api::WallTime::duration>(clock_.now.time_since_epoch());
}

void OperatorWorld::Fail(const std::string& what) {
  if (violation_.empty()) violation_ = fmt::format("after {} steps: {}", steps_, what);
}

// --- what happens ---

void OperatorWorld::PatchJob(const json& patch) {
  if (const auto patched = server_.Patch(kTrainingJobs, kSpace, kJob, patch); !patched.ok()) {
    Fail(patched.status().ToString());
  }
  LookAtPods();
}

void OperatorWorld::Scale(int replicas) {
  may_delete_ += std::max(0, replicas_ - replicas);
  replicas_ = replicas;
  PatchJob({{"spec", {{"workers", {{"replicas", replicas}}}}}});
}

void OperatorWorld::Suspend(bool suspend) {
  suspended_ = suspend;
  PatchJob({{"spec", {{"suspend", suspend}}}});
}

void OperatorWorld::RequestStop() {
  stopping_ = true;
  PatchJob({{"metadata", {{"annotations", {{api::kStopRequestedAnnotation, "true"}}}}}});
}

void OperatorWorld::KillPod() {
  std::vector<std::string> running;
  for (const auto& [name, pod] : pods_) {
    const bool lost = pod.node >= 0 && nodes_[static_cast<size_t>(pod.node)].lost;
    if (pod.active() && pod.phase == "Running" && !lost) running.push_back(name);
  }
  if (running.empty()) return;
  const std::string& name = running[Draw(running.size())];
  if (const auto worker = workers_.find(pods_[name].uid); worker != workers_.end()) {
    Disconnect(*worker->second);
    workers_.erase(worker);
  }
  WriteStatus(name,
              [this](json& pod) { return local::ExitedStatus(pod, {.code = 1}, "", Wall()); });
}

void OperatorWorld::LoseNode(int number) {
  Node& node = nodes_[static_cast<size_t>(number)];
  if (node.lost) return;
  node = {.lost = true, .evicts_at = clock_.now + kEviction};
  for (const auto& [name, pod] : pods_) {
    const auto worker = workers_.find(pod.uid);
    if (pod.node == number && worker != workers_.end()) worker->second->cut_off = true;
  }
}

void OperatorWorld::FindNode(int number) {
  nodes_[static_cast<size_t>(number)] = {};
  for (const auto& [name, pod] : pods_) {
    const auto worker = workers_.find(pod.uid);
    if (pod.node != number || worker == workers_.end()) continue;
    worker->second->cut_off = false;
    Disconnect(*worker->second);  // nobody kept the connection
  }
}

void OperatorWorld::KillOperator(int calls) { api_.DieAfter(calls, random_()); }

void OperatorWorld::FailCalls(Duration time) { api_.FailUntil(clock_.now + time, random_()); }

void OperatorWorld::DelayNews(Duration time) { news_held_until_ = clock_.now + time; }

void OperatorWorld::ClearFinishedPods() {
  for (const auto& [name, pod] : pods_) {
    if (pod.phase != "Failed" && pod.phase != "Succeeded") continue;
    (void)server_.Delete(kPods, kSpace, name, {.grace_period_seconds = 0});
  }
  LookAtPods();
}

void OperatorWorld::RunFor(Duration time) {
  RunUntil(time, [] { return false; });
}

bool OperatorWorld::RunUntil(Duration limit, const std::function<bool()>& done) {
  const Time end = clock_.now + limit;
  while (clock_.now < end && violation_.empty()) {
    if (done()) return true;
    Step();
  }
  return done();
}

void OperatorWorld::Step() {
  clock_.now += kStep;
  ++steps_;
  for (size_t i = 0; i < nodes_.size(); ++i) StepNode(static_cast<int>(i), nodes_[i]);
  // A copy: what a pod does changes the list.
  for (auto [name, pod] : std::map(pods_)) StepPod(name, pod);
  for (auto& [uid, worker] : workers_) StepWorker(*worker);
  StepOperator();
  if (api_.TakeChanged()) LookAtPods();
}

// --- pods ---

std::vector<json> OperatorWorld::List(const controller::Resource& resource) {
  auto list = server_.List(resource, "", {});
  std::vector<json> items = list.ok() ? (*list)["items"].get<std::vector<json>>()  //
                                      : std::vector<json>();
  for (json& item : items) api_.Date(item);
  return items;
}

void OperatorWorld::LookAtPods() {
  std::map<std::string, Pod> now;
  std::vector<std::string> made;
  for (const json& object : List(kPods)) {
    const std::string name = controller::KeyOf(object).name;
    const auto known = pods_.find(name);
    const std::string uid = controller::UidOf(object);
    const bool is_new = known == pods_.end() || known->second.uid != uid;
    Pod pod = is_new ? Pod{.uid = uid} : known->second;
    pod.slot = object.value("/metadata/labels"_json_pointer, json::object())
                   .value(api::kSlotLabel, "none");
    pod.phase = object.value("/status/phase"_json_pointer, "Pending");
    const bool deleted = object.at("metadata").contains("deletionTimestamp");
    if (is_new || deleted != pod.being_deleted) {
      pod.due = clock_.now + Milliseconds(20 + Draw(200));
    }
    pod.being_deleted = deleted;
    if (is_new) made.push_back(name);
    now[name] = std::move(pod);
  }
  pods_ = std::move(now);
  std::set<std::string> uids;
  for (const auto& [name, pod] : pods_) uids.insert(pod.uid);
  for (auto& [uid, worker] : workers_) {
    if (!uids.contains(uid)) Disconnect(*worker);
  }
  std::erase_if(workers_, [&](const auto& each) { return !uids.contains(each.first); });
  for (const std::string& name : made) CheckNewPod(name);
  if (operator_ == nullptr) return;
  for (auto& cache : operator_->caches) {
    cache.refresh_at = std::min(cache.refresh_at, clock_.now + Milliseconds(Draw(100)));
  }
}

void OperatorWorld::CheckNewPod(const std::string& name) {
  int of_slot = 0;
  for (const auto& [other, pod] : pods_) {
    of_slot += pod.active() && pod.slot == pods_[name].slot ? 1 : 0;
  }
  if (of_slot > 1) Fail(fmt::format("{} is a second active pod for its slot", name));
  // What it may not have heard yet is what the user asked for last.
  const int asked = std::max(replicas_, heard_replicas_);
  if (active() > asked) {
    Fail(fmt::format("{} makes {} pods, {} are asked for", name, active(), asked));
  }
  if (suspended_ && heard_suspended_) Fail(fmt::format("{} is of a suspended job", name));
}

void OperatorWorld::OnDelete(const std::string& name) {
  const auto pod = pods_.find(name);
  if (pod == pods_.end() || !pod->second.active() || stopping_) return;
  if (suspended_ || heard_suspended_) return;
  if (--may_delete_ < 0) Fail(fmt::format("{} was deleted and nobody had asked for it", name));
}

void OperatorWorld::WriteStatus(const std::string& name, const std::function<json(json&)>& status) {
  auto pod = server_.Get(kPods, kSpace, name);
  if (!pod.ok()) return;
  (*pod)["status"] = status(*pod);
  if (const auto written = server_.UpdateStatus(kPods, *pod); !written.ok()) {
    Fail(written.status().ToString());
  }
  LookAtPods();
}

void OperatorWorld::StepPod(const std::string& name, Pod& pod) {
  if (pod.due > clock_.now || (pod.node >= 0 && nodes_[static_cast<size_t>(pod.node)].lost)) return;
  if (pod.being_deleted) {
    const auto worker = workers_.find(pod.uid);
    if (worker != workers_.end() && !worker->second->leaving) {
      worker->second->leaving = true;  // said at its next turn
      pods_[name].due = clock_.now + Milliseconds(40 + Draw(100));
      return;
    }
    (void)server_.Delete(kPods, kSpace, name, {.uid = pod.uid, .grace_period_seconds = 0});
    return LookAtPods();
  }
  const auto worker = workers_.find(pod.uid);
  if (worker != workers_.end()) {
    if (!worker->second->stream.imitated.stopped()) return;
    Disconnect(*worker->second);
    workers_.erase(worker);
    return WriteStatus(name,
                       [this](json& now) { return local::ExitedStatus(now, {}, "", Wall()); });
  }
  if (pod.phase != "Pending") return;
  const size_t node = Draw(nodes_.size());
  if (nodes_[node].lost) return;
  const json binding = {{"metadata", {{"namespace", kSpace}, {"uid", pod.uid}}},
                        {"target", {{"name", fmt::format("node-{}", node)}}}};
  (void)server_.Create({"", "v1", fmt::format("pods/{}/binding", name)}, binding);
  pods_[name].node = static_cast<int>(node);
  workers_[pod.uid] = std::make_unique<Worker>(ImitatedWorker::Pod{kSpace, kJob, name, pod.uid});
  WriteStatus(name, [this](json& now) { return local::RunningStatus(now, Wall()); });
}

void OperatorWorld::StepNode(int number, Node& node) {
  if (clock_.now < node.evicts_at) return;
  node.evicts_at = Time::max();
  for (const auto& [name, pod] : std::map(pods_)) {
    if (pod.node != number || !pod.active()) continue;
    WriteStatus(name, [](json& now) {
      json status = now.at("status");
      status["conditions"].push_back(
          {{"type", api::kDisruptionTargetCondition}, {"status", "True"}});
      return status;
    });
    (void)server_.Delete(kPods, kSpace, name, {});
  }
  LookAtPods();
}

// --- workers ---

void OperatorWorld::Connect(Worker& worker) {
  worker.life = life_;
  worker.stream.Connect(operator_->hub);
}

void OperatorWorld::Disconnect(Worker& worker) {
  const bool same = operator_ != nullptr && worker.life == life_;
  worker.stream.Disconnect(same ? &operator_->hub : nullptr);
  worker.connects_at = clock_.now + Milliseconds(50 + Draw(400));
}

void OperatorWorld::OnHeard(const Worker& worker, const topology::HubMessage& message) {
  if (message.has_assign()) {
    const std::string& uid = worker.stream.imitated.pod().uid;
    const auto [known, is_new] = ids_.emplace(message.assign().member(), uid);
    if (!is_new && known->second != uid) {
      Fail(fmt::format("id {} of {} was given to {}", known->first, known->second, uid));
    }
  }
  if (message.has_view()) last_epoch_ = std::max(last_epoch_, message.view().epoch());
}

void OperatorWorld::StepWorker(Worker& worker) {
  if (worker.cut_off) return;
  WorkerStream& stream = worker.stream;
  const bool gone = operator_ == nullptr || worker.life != life_ || stream.closed();
  if (stream.connected() && gone) Disconnect(worker);
  if (stream.imitated.stopped() || stream.imitated.refused()) return;
  if (!stream.connected()) {
    if (operator_ != nullptr && !worker.leaving && clock_.now >= worker.connects_at)
      Connect(worker);
    return;
  }
  if (Draw(8) == 0) return;  // a slow moment
  topology::Hub& hub = operator_->hub;
  stream.Answer(hub, [&](const topology::HubMessage& message) { OnHeard(worker, message); });
  if (worker.leaving) {
    stream.Say(hub, stream.imitated.Leave());
    return Disconnect(worker);
  }
  if (clock_.now < worker.reports_at) return;
  worker.reports_at = clock_.now + kReport;
  stream.imitated.Train(5);
  if (const auto report = stream.imitated.Report()) stream.Say(hub, *report);
}

// --- the operator ---

void OperatorWorld::StartOperator() {
  if (api_.failing()) return;
  api_.Revive();
  ++life_;
  operator_ = std::make_unique<SimulatedOperator>(SimulatedOperator::Options{
      .job = kKey,
      .client = &api_,
      .clock = &clock_,
      .wall = [this] { return Wall(); },
      .list = [this](const controller::Resource& resource) { return List(resource); }});
}

void OperatorWorld::StepOperator() {
  if (operator_ == nullptr) {
    if (clock_.now >= operator_starts_) StartOperator();
    return;
  }
  RefreshCaches();
  if (steps_ % 5 == 0) operator_->hub.Tick();
  for (int i = 0; i < kMostReconciles && !api_.dead(); ++i) {
    const auto taken = operator_->queue.TryTake();
    if (!taken) break;
    Reconcile();
  }
  if (!api_.dead()) return;
  operator_.reset();
  operator_starts_ = clock_.now + Milliseconds(100 + Draw(3000));
}

void OperatorWorld::Reconcile() {
  if (const controller::Object job = operator_->jobs.Get(kKey)) {
    heard_replicas_ = Number(*job, "/spec/workers/replicas");
    heard_suspended_ = job->value("/spec/suspend"_json_pointer, false);
  }
  const topology::Snapshot before = operator_->hub.Observe({kSpace, kJob});
  operator_->Reconcile();
  const topology::Snapshot after = operator_->hub.Observe({kSpace, kJob});
  if (before.known && after.known && after.graph != before.graph) {
    if (after.epoch <= last_epoch_) {
      Fail(fmt::format("epoch {} came again, there was {}", after.epoch, last_epoch_));
    }
    last_epoch_ = after.epoch;
  }
}

void OperatorWorld::RefreshCaches() {
  if (clock_.now < news_held_until_ || api_.failing()) return;
  for (auto& cache : operator_->caches) {
    if (clock_.now < cache.refresh_at) continue;
    cache.refresh_at = Time::max();
    operator_->Refresh(cache);
  }
}

// --- what is there ---

json OperatorWorld::Job() {
  auto job = server_.Get(kTrainingJobs, kSpace, kJob);
  if (!job.ok()) Fail(job.status().ToString());
  return job.ok() ? *std::move(job) : json::object();
}

bool OperatorWorld::IsTrue(const char* condition) {
  const json job = Job();
  const auto status = job.find("status");
  return status != job.end() && api::IsTrue(api::StatusFromJson(*status).conditions, condition);
}

int OperatorWorld::active() const {
  return static_cast<int>(
      std::ranges::count_if(pods_, [](const auto& each) { return each.second.active(); }));
}

bool OperatorWorld::Settled(int members) {
  const json job = Job();
  const int restarts = Number(job, "/status/workers/restarts");
  if (restarts < restarts_) Fail("failures were forgotten");
  restarts_ = restarts;
  if (operator_ == nullptr || active() != members) return false;
  const topology::Snapshot hub = operator_->hub.Observe({kSpace, kJob});
  if (hub.graph->size() != static_cast<size_t>(members)) return false;
  if (Number(job, "/status/workers/members") != members) return false;
  if (Number(job, "/status/workers/active") != members) return false;
  if (job.value("/status/graph/epoch"_json_pointer, uint64_t{0}) != hub.epoch) return false;
  const auto graph = server_.Get(kCommunicationGraphs, kSpace, kJob);
  if (!graph.ok() || graph->value("/status/epoch"_json_pointer, uint64_t{0}) != hub.epoch) {
    return false;
  }
  for (const auto& [uid, worker] : workers_) {
    const uint64_t id = worker->stream.imitated.member();
    if (hub.graph->Find(id) == nullptr) return false;
    std::set<uint64_t> told;
    for (const auto& peer : worker->stream.imitated.view().neighbours()) told.insert(peer.member());
    const auto neighbours = hub.graph->Neighbours(id);
    if (told != std::set<uint64_t>(neighbours.begin(), neighbours.end())) return false;
  }
  may_delete_ = 0;
  return true;
}

std::string OperatorWorld::Describe() {
  std::string text = Job().value("status", json::object()).dump();
  for (const auto& [name, pod] : pods_) text += fmt::format(" {}:{}", name, pod.phase);
  return text + fmt::format(" epoch {}, operator {}", last_epoch_, life_);
}

}  // namespace grapevine::simulation
