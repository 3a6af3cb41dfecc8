#include "tests/simulation/scripted_cluster.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "fmt/format.h"
#include "operator/api/labels.h"
#include "operator/local/pod_process.h"
#include "operator/training_job/apply.h"

namespace grapevine::simulation {
namespace {

using nlohmann::json;
using training_job::kNodes;
using training_job::kPods;

constexpr char kSpace[] = "default";
constexpr char kJob[] = "w";
constexpr Duration kStep = 100ms;
constexpr int kMostReconciles = 20;  // in one step
constexpr int kStepsOfReport = 10;
constexpr int64_t kBatches = 20;  // that a worker trains in a second
constexpr Duration kGrace = 1s;   // from a pod's deletion until its container has ended

json Unscheduled(const std::string& reason, const std::string& message) {
  const json condition = {
      {"type", "PodScheduled"}, {"status", "False"}, {"reason", reason}, {"message", message}};
  return {{"phase", "Pending"}, {"conditions", json::array({condition})}};
}

// Not of whoever deletes a pod.
bool IsOfKubelet(const ScriptedCluster::Fate& fate) {
  return fate.state != "preempted" && fate.state != "deleted" && fate.state != "terminating";
}

std::string TextAt(const json& object, const char* pointer) {
  return object.value(json::json_pointer(pointer), "");
}

}  // namespace

// Refuses what a policy or a quota of the cluster would.
class ScriptedCluster::Admission final : public controller::ForwardingClient {
 public:
  using ForwardingClient::ForwardingClient;

  Answer Create(const controller::Resource& resource, const json& object) override {
    const auto refused = refusals.find(resource.plural);
    if (refused != refusals.end() && !refused->second.ok()) return refused->second;
    return ForwardingClient::Create(resource, object);
  }

  std::map<std::string, absl::Status> refusals;  // by plural
};

ScriptedCluster::ScriptedCluster()
    : api_(server_, clock_, [this] { return Wall(); }),
      admission_(std::make_unique<Admission>(api_)) {
  for (const char* node : {"n1", "n2", "n3"}) SetNode(node, "back");
  StartOperator();
}

ScriptedCluster::~ScriptedCluster() = default;

api::WallTime ScriptedCluster::Wall() const {
  return api::WallTime(std::chrono::seconds(1'700'000'000)) +
         std::chrono::duration_cast<api::WallTime::duration>(now());
}

void ScriptedCluster::Decree(Fate fate) {
  fates_.push_back(std::make_unique<const Fate>(std::move(fate)));
}

const ScriptedCluster::Fate* ScriptedCluster::FateOf(const std::string& pod) const {
  for (auto fate = fates_.rbegin(); fate != fates_.rend(); ++fate) {
    const std::string& pods = (*fate)->pods;
    const bool named =
        pods.ends_with('*') ? pod.starts_with(pods.substr(0, pods.size() - 1)) : pod == pods;
    if (named) return fate->get();
  }
  return nullptr;
}

void ScriptedCluster::SetNode(const std::string& name, const std::string& state) {
  silent_[name] = state != "back";
  if (state == "gone") {
    (void)server_.Delete(kNodes, "", name, {});
    return;
  }
  (void)server_.Create(kNodes, {{"metadata", {{"name", name}}}});
  json taints = json::array();
  if (state == "unreachable") {
    taints.push_back({{"key", training_job::kUnreachableTaint},
                      {"effect", "NoExecute"},
                      {"timeAdded", api::FormatWallTime(Wall())}});
  } else if (state != "back") {
    throw std::runtime_error(fmt::format("a node is not {}", state));
  }
  (void)server_.Patch(kNodes, "", name, {{"spec", {{"taints", taints}}}});
}

void ScriptedCluster::Refuse(const std::string& plural, absl::Status why) {
  admission_->refusals[plural] = std::move(why);
}

void ScriptedCluster::Run(Duration time) {
  for (const Time end = clock_.now + time; clock_.now < end; ++steps_) {
    clock_.now += kStep;
    LookAtPods();
    for (const json& pod : seen_pods_) StepPod(pod);
    LookAtPods();
    for (const json& pod : seen_pods_) {
      const auto own = pods_.find(controller::UidOf(pod));
      if (own != pods_.end()) StepWorker(TextAt(pod, "/spec/nodeName"), own->second);
    }
    StepOperator();
  }
}

std::string ScriptedCluster::Version() {
  return (*server_.List({"", "v1", "none"}, "", {}))["metadata"]["resourceVersion"];
}

void ScriptedCluster::LookAtPods() {
  if (const std::string version = Version(); std::exchange(pods_seen_at_, version) != version) {
    seen_pods_ = List(kPods);
  }
}

std::vector<json> ScriptedCluster::List(const controller::Resource& resource) {
  auto list = server_.List(resource, "", {});
  std::vector<json> items = (*list)["items"].get<std::vector<json>>();
  for (json& item : items) api_.Date(item);
  return items;
}

// --- pods ---

void ScriptedCluster::WriteStatus(json pod, json status) {
  pod["status"] = std::move(status);
  (void)server_.UpdateStatus(kPods, pod);
}

std::string ScriptedCluster::EmptiestNode() {
  std::map<std::string, int> load;
  for (const json& node : List(kNodes)) {
    const std::string name = controller::KeyOf(node).name;
    if (!silent_[name]) load[name] = 0;
  }
  if (full || load.empty()) return "";
  for (const json& pod : List(kPods)) {
    const std::string phase = TextAt(pod, "/status/phase");
    const auto node = load.find(TextAt(pod, "/spec/nodeName"));
    if (node != load.end() && phase != "Failed" && phase != "Succeeded") ++node->second;
  }
  return std::ranges::min_element(load, {}, [](const auto& each) { return each.second; })->first;
}

void ScriptedCluster::StepPod(const json& pod) {
  Pod& own = pods_[controller::UidOf(pod)];
  const std::string phase = TextAt(pod, "/status/phase");
  const bool deleted = pod.at("metadata").contains("deletionTimestamp");
  const bool silent = silent_[TextAt(pod, "/spec/nodeName")];
  const Fate* fate = FateOf(controller::KeyOf(pod).name);
  const bool at_work = phase == "Running" && !deleted;
  if (at_work && fate != nullptr && (!silent || !IsOfKubelet(*fate))) {
    if (std::exchange(own.met, fate) != fate) return Meet(*fate, pod, own);
  }
  if (silent) return;
  if (deleted) return StepDeleted(pod, own);
  if (phase == "Pending") {
    if (fate == nullptr || fate->state != "pending") return Start(pod, own);
    if (std::exchange(own.met, fate) != fate) Meet(*fate, pod, own);
  } else if (phase == "Running" && own.worker && own.worker->imitated.stopped()) {
    End(own);
    WriteStatus(pod, local::ExitedStatus(pod, {}, "", Wall()));
  }
}

void ScriptedCluster::StepDeleted(const json& pod, Pod& own) {
  const std::string name = controller::KeyOf(pod).name;
  if (own.gone_at == Time::max()) {
    own.leaving = true;
    own.gone_at = clock_.now + kGrace;
  }
  const Fate* fate = FateOf(name);
  if (clock_.now < own.gone_at || (fate != nullptr && fate->state == "terminating")) return;
  End(own);
  (void)server_.Delete(kPods, kSpace, name, {.grace_period_seconds = 0});
}

json ScriptedCluster::Bound(const json& pod) {
  const std::string name = controller::KeyOf(pod).name;
  if (TextAt(pod, "/spec/nodeName").empty()) {
    const json target = {{"metadata", {{"namespace", kSpace}}},
                         {"target", {{"name", EmptiestNode()}}}};
    (void)server_.Create({"", "v1", fmt::format("pods/{}/binding", name)}, target);
  }
  json bound = *server_.Get(kPods, kSpace, name);
  bound["status"].erase("conditions");
  return bound;
}

void ScriptedCluster::Start(const json& pod, Pod& own) {
  if (TextAt(pod, "/spec/nodeName").empty() && EmptiestNode().empty()) {
    return WriteStatus(pod, Unscheduled("Unschedulable", "0/3 nodes are available"));
  }
  const json bound = Bound(pod);
  if (pod.value("/spec/containers"_json_pointer, json()).is_array()) {
    own.worker = std::make_unique<WorkerStream>(
        ImitatedWorker::Pod{kSpace, kJob, controller::KeyOf(pod).name, controller::UidOf(pod)});
  }
  WriteStatus(bound, local::RunningStatus(bound, Wall()));
}

void ScriptedCluster::Meet(const Fate& fate, const json& pod, Pod& own) {
  const std::string name = controller::KeyOf(pod).name;
  json status = pod.at("status");
  if (fate.state == "pending") {
    if (fate.reason == "Unschedulable" || fate.reason == "SchedulingGated") {
      return WriteStatus(pod, Unscheduled(fate.reason, fate.message));
    }
    json bound = Bound(pod);
    bound["status"]["containerStatuses"] = {
        {{"name", "worker"},
         {"state", {{"waiting", {{"reason", fate.reason}, {"message", fate.message}}}}}}};
    WriteStatus(bound, bound["status"]);
  } else if (fate.state == "failed") {
    End(own);
    WriteStatus(pod, local::ExitedStatus(pod, {.code = fate.exit_code}, fate.message, Wall()));
  } else if (fate.state == "evicted") {
    End(own);
    status = local::ExitedStatus(pod, {.code = 137}, "", Wall());
    status["reason"] = "Evicted";
    WriteStatus(pod, std::move(status));
  } else if (fate.state == "preempted") {
    status["conditions"].push_back({{"type", api::kDisruptionTargetCondition}, {"status", "True"}});
    WriteStatus(pod, std::move(status));
    (void)server_.Delete(kPods, kSpace, name, {});
  } else if (fate.state == "threatened") {
    status["conditions"].push_back({{"type", api::kDisruptionTargetCondition}, {"status", "True"}});
    WriteStatus(pod, std::move(status));
  } else if (fate.state == "reprieved") {
    for (json& condition : status["conditions"]) {
      if (condition["type"] == api::kDisruptionTargetCondition) condition["status"] = "False";
    }
    WriteStatus(pod, std::move(status));
  } else if (fate.state == "unready") {
    for (json& condition : status["conditions"]) condition["status"] = "False";
    WriteStatus(pod, std::move(status));
  } else if (fate.state == "deleted" || fate.state == "terminating") {
    (void)server_.Delete(kPods, kSpace, name, {});
  } else if (fate.state != "running") {
    throw std::runtime_error(fmt::format("a pod is not {}", fate.state));
  }
}

void ScriptedCluster::End(Pod& own) {
  if (own.worker) own.worker->Disconnect(operator_ ? &operator_->hub : nullptr);
  own.worker.reset();
}

void ScriptedCluster::StepWorker(const std::string& node, Pod& own) {
  WorkerStream* const worker = own.worker.get();
  if (worker == nullptr || operator_ == nullptr) return;
  topology::Hub& hub = operator_->hub;
  if (worker->connected() && (worker->closed() || silent_[node])) worker->Disconnect(&hub);
  const bool done = worker->imitated.stopped() || worker->imitated.refused();
  if (done || silent_[node]) return;
  if (!worker->connected()) {
    if (!own.leaving) worker->Connect(hub);
    return;
  }
  worker->Answer(hub);
  if (own.leaving) {
    worker->Say(hub, worker->imitated.Leave());
    return worker->Disconnect(&hub);
  }
  if (steps_ % kStepsOfReport != 0) return;
  worker->imitated.Train(kBatches);
  if (const auto report = worker->imitated.Report()) worker->Say(hub, *report);
}

// --- the operator ---

void ScriptedCluster::StartOperator() {
  if (operator_) return;
  const auto on_event = [this](const controller::Request&, const training_job::JobEvent& event) {
    events_ += fmt::format("{:3.0f} s{} {}: {}\n", std::floor(ToSeconds(now())),
                           event.warning ? " !" : "  ", event.reason, event.note);
  };
  operator_ = std::make_unique<SimulatedOperator>(SimulatedOperator::Options{
      .job = {kSpace, kJob},
      .client = admission_.get(),
      .clock = &clock_,
      .wall = [this] { return Wall(); },
      .list = [this](const controller::Resource& resource) { return List(resource); },
      .on_cluster = true,
      .on_event = on_event});
}

void ScriptedCluster::StopOperator() {
  for (auto& [uid, pod] : pods_) {
    if (pod.worker) pod.worker->Disconnect(nullptr);
  }
  operator_.reset();
}

void ScriptedCluster::StepOperator() {
  if (operator_ == nullptr) return;
  RefreshCaches();
  operator_->hub.Tick();
  for (int i = 0; i < kMostReconciles && operator_->queue.TryTake(); ++i) {
    operator_->Reconcile();
    RefreshCaches();
  }
}

void ScriptedCluster::RefreshCaches() {
  const std::string version = Version();
  if (std::exchange(caches_show_, version) == version) return;
  for (auto& cache : operator_->caches) operator_->Refresh(cache);
}

}  // namespace grapevine::simulation
