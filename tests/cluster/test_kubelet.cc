#include "tests/cluster/test_kubelet.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "fmt/format.h"
#include "operator/api/labels.h"
#include "operator/api/object_meta.h"
#include "operator/base/check.h"
#include "operator/base/log.h"
#include "operator/controller/object_store.h"
#include "operator/local/pod_process.h"

namespace grapevine::cluster {

using controller::KeyOf;
using controller::Object;
using controller::ObjectChange;
using controller::Request;
using controller::Resource;
using controller::UidOf;
using nlohmann::json;

namespace {

constexpr int kAttempts = 8;

const Resource& Pods() {
  static const Resource kPods{"", "v1", "pods"};
  return kPods;
}

const Resource& Nodes() {
  static const Resource kNodes{"", "v1", "nodes", /*cluster_wide=*/true};
  return kNodes;
}

api::WallTime Now() { return std::chrono::system_clock::now(); }

bool IsBeingDeleted(const json& pod) { return pod.at("metadata").contains("deletionTimestamp"); }

std::string NodeOf(const json& pod) { return pod.value("/spec/nodeName"_json_pointer, ""); }

std::string PhaseOf(const json& pod) { return pod.value("/status/phase"_json_pointer, "Pending"); }

json NodeStatus(const char* ready, const char* reason) {
  const json room = {{"cpu", "1000"}, {"memory", "1000Gi"}, {"pods", "10000"}};
  return {{"capacity", room},
          {"allocatable", room},
          {"conditions",
           {{{"type", "Ready"},
             {"status", ready},
             {"reason", reason},
             {"lastTransitionTime", api::FormatWallTime(Now())}}}}};
}

json WithCondition(json status, json condition) {
  json conditions = json::array({condition});
  for (const json& each : status.value("conditions", json::array())) {
    if (each.at("type") != condition.at("type")) conditions.push_back(each);
  }
  status["conditions"] = std::move(conditions);
  return status;
}

}  // namespace

TestKubelet::TestKubelet(controller::ApiClient* client, const Clock* clock,
                         TestKubeletOptions options)
    : client_(client),
      clock_(clock),
      options_(std::move(options)),
      pods_(client, clock, {.resource = Pods(), .name_spaces = {options_.name_space}}) {
  pods_.Subscribe([this](const ObjectChange& change) {
    MarkDirty(KeyOf(change.now != nullptr ? *change.now : *change.before));
  });
}

TestKubelet::~TestKubelet() { Stop(); }

absl::Status TestKubelet::Start() {
  GRAPEVINE_CHECK(!thread_.joinable());
  for (const std::string& name : options_.nodes) {
    if (absl::Status status = MakeNode(name); !status.ok()) return status;
  }
  thread_ = std::thread([this] { Run(); });
  pods_.Start();
  return absl::OkStatus();
}

void TestKubelet::Stop() {
  pods_.Stop();
  {
    MutexLock lock(mutex_);
    stopped_ = true;
    changed_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
  for (const std::string& node : std::exchange(made_nodes_, {})) {
    const absl::Status status = client_->Delete(Nodes(), "", node, {});
    if (!status.ok()) LogWarn("cannot remove node {}: {}", node, status.ToString());
  }
}

absl::Status TestKubelet::MakeNode(const std::string& name) {
  const json node = {{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", {{"name", name}}}};
  absl::Status status = client_->Create(Nodes(), node).status();
  if (!status.ok()) return status;
  made_nodes_.insert(name);
  status = WriteStatus(Nodes(), {"", name},
                       [](const json&) { return NodeStatus("True", "KubeletReady"); });
  if (!status.ok()) return status;
  // A server taints a new node until someone finds it ready.
  return client_->Patch(Nodes(), "", name, {{"spec", {{"taints", nullptr}}}}).status();
}

absl::Status TestKubelet::LoseNode(const std::string& node) {
  {
    MutexLock lock(mutex_);
    lost_nodes_.insert(node);
  }
  absl::Status status = WriteStatus(
      Nodes(), {"", node}, [](const json&) { return NodeStatus("Unknown", "NodeStatusUnknown"); });
  if (!status.ok()) return status;
  json taints = json::array();
  for (const char* effect : {"NoSchedule", "NoExecute"}) {
    taints.push_back({{"key", "node.kubernetes.io/unreachable"}, {"effect", effect}});
  }
  return client_->Patch(Nodes(), "", node, {{"spec", {{"taints", taints}}}}).status();
}

void TestKubelet::Hold(const std::string& prefix) {
  MutexLock lock(mutex_);
  held_.insert(prefix);
}

void TestKubelet::Release(const std::string& prefix) {
  {
    MutexLock lock(mutex_);
    held_.erase(prefix);
  }
  for (const Object& pod : pods_.store().List()) MarkDirty(KeyOf(*pod));
}

absl::Status TestKubelet::End(const Request& pod, const PodEnd& end) {
  return WriteStatus(Pods(), pod, [&](const json& now) {
    json status = local::ExitedStatus(now, {.code = end.exit_code}, "", Now());
    json& terminated = status["containerStatuses"][0]["state"]["terminated"];
    if (end.exit_code != 0) terminated["reason"] = end.reason;
    if (!end.message.empty()) terminated["message"] = end.message;
    status["podIP"] = now.at("status").at("podIP");
    status["podIPs"] = now.at("status").at("podIPs");
    return status;
  });
}

absl::Status TestKubelet::Evict(const Request& pod, const std::string& reason) {
  absl::Status status = WriteStatus(Pods(), pod, [&](const json& now) {
    return WithCondition(now.at("status"), {{"type", api::kDisruptionTargetCondition},
                                            {"status", "True"},
                                            {"reason", reason},
                                            {"lastTransitionTime", api::FormatWallTime(Now())}});
  });
  if (!status.ok()) return status;
  return client_->Delete(Pods(), pod.name_space, pod.name, {});
}

void TestKubelet::MarkDirty(const Request& key) {
  MutexLock lock(mutex_);
  due_[key] = clock_->Now();
  changed_.NotifyAll();
}

void TestKubelet::Run() {
  while (true) {
    std::vector<Request> ready;
    {
      MutexLock lock(mutex_);
      while (!stopped_ && ready.empty()) {
        Time next = Time::max();
        for (const auto& [key, time] : due_) {
          if (time <= clock_->Now()) ready.push_back(key);
          next = std::min(next, time);
        }
        if (!ready.empty()) break;
        next == Time::max() ? changed_.Wait(mutex_) : (void)changed_.WaitUntil(mutex_, next);
      }
      if (stopped_) return;
      for (const Request& key : ready) due_.erase(key);
    }
    for (const Request& key : ready) Sync(key);
  }
}

void TestKubelet::Sync(const Request& key) {
  const Object pod = pods_.store().Get(key);
  if (pod == nullptr) return;
  {
    MutexLock lock(mutex_);
    if (lost_nodes_.contains(NodeOf(*pod))) return;
    if (!IsBeingDeleted(*pod) && IsHeldLocked(key.name)) return;
    if (IsBeingDeleted(*pod)) {
      const Time gone =
          deleted_.try_emplace(UidOf(*pod), clock_->Now()).first->second + options_.deletion_delay;
      if (clock_->Now() < gone) {
        due_[key] = gone;
        return;
      }
    }
  }
  if (IsBeingDeleted(*pod)) {
    const absl::Status status = client_->Delete(Pods(), key.name_space, key.name,
                                                {.uid = UidOf(*pod), .grace_period_seconds = 0});
    if (!status.ok() && status.code() != absl::StatusCode::kNotFound) {
      LogWarn("cannot remove pod {}: {}", key.name, status.ToString());
    }
  } else if (PhaseOf(*pod) == "Pending" && GiveNode(*pod)) {
    MakeRunning(*pod);
  }
}

bool TestKubelet::IsHeldLocked(const std::string& pod) const {
  return std::any_of(held_.begin(), held_.end(),
                     [&](const std::string& prefix) { return pod.starts_with(prefix); });
}

bool TestKubelet::GiveNode(const json& pod) {
  if (const std::string node = NodeOf(pod); !node.empty()) return made_nodes_.contains(node);
  if (!options_.binds) return false;
  std::string node;
  {
    MutexLock lock(mutex_);
    for (size_t tried = 0; node.empty() && tried < options_.nodes.size(); ++tried) {
      const std::string& candidate = options_.nodes[next_node_++ % options_.nodes.size()];
      if (!lost_nodes_.contains(candidate)) node = candidate;
    }
  }
  if (node.empty()) return false;
  const Request key = KeyOf(pod);
  const json binding = {
      {"apiVersion", "v1"},
      {"kind", "Binding"},
      {"metadata", {{"name", key.name}, {"namespace", key.name_space}, {"uid", UidOf(pod)}}},
      {"target", {{"apiVersion", "v1"}, {"kind", "Node"}, {"name", node}}}};
  // After a conflict news of the pod is on its way here.
  return client_->Create({"", "v1", fmt::format("pods/{}/binding", key.name)}, binding).ok();
}

void TestKubelet::MakeRunning(const json& pod) {
  const uint32_t number = ++pods_started_;
  const std::string ip =
      fmt::format("10.{}.{}.{}", 64 + number / (250 * 250), number / 250 % 250, 1 + number % 250);
  const absl::Status status = WriteStatus(Pods(), KeyOf(pod), [&](const json& now) {
    // The cache may be behind what this kubelet did itself.
    if (UidOf(now) != UidOf(pod) || now.at("status").value("phase", "") != "Pending") {
      return now.at("status");
    }
    json running = local::RunningStatus(now, Now());
    running["podIP"] = ip;
    running["podIPs"] = {{{"ip", ip}}};
    return running;
  });
  if (!status.ok() && status.code() != absl::StatusCode::kNotFound) {
    LogWarn("cannot report pod {}: {}", KeyOf(pod).name, status.ToString());
  }
}

absl::Status TestKubelet::WriteStatus(const Resource& resource, const Request& key,
                                      const std::function<json(const json&)>& status) {
  absl::Status written;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    absl::StatusOr<json> now = client_->Get(resource, key.name_space, key.name);
    if (!now.ok()) return now.status();
    (*now)["status"] = status(*now);
    written = client_->UpdateStatus(resource, *now).status();
    if (written.code() != absl::StatusCode::kAborted) return written;
  }
  return written;
}

}  // namespace grapevine::cluster
