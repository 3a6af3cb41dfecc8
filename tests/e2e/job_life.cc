#include "tests/e2e/job_life.h"

#include <algorithm>
#include <utility>

#include "fmt/format.h"
#include "gtest/gtest.h"
#include "operator/api/labels.h"
#include "operator/controller/object_store.h"
#include "operator/training_job/apply.h"

namespace grapevine::e2e {
namespace {

using cluster::ApiCall;
using cluster::Fate;
using controller::Resource;
using nlohmann::json;
using training_job::kPods;
using training_job::kTrainingJobs;

constexpr char kJob[] = "digits";
constexpr Duration kPatience = 20s;
constexpr Duration kTurn = 10ms;

bool IsTrue(const json& job, const char* condition) {
  for (const json& each : job.value("/status/conditions"_json_pointer, json::array())) {
    if (each.at("type") == condition) return each.at("status") == "True";
  }
  return false;
}

int Number(const json& job, const char* pointer) {
  return job.value(json::json_pointer(pointer), 0);
}

}  // namespace

JobLife::Operator::Operator(const kube::Access& access, const Clock* clock,
                            const std::string& name_space)
    : client(access, clock, {}),
      engine(&client, clock, &probe, {.name_spaces = {name_space}, .worker_image = "worker"}),
      parts(engine.Parts()) {}

JobLife::JobLife(const kube::Access& admin, const kube::Material& token, const std::string& name)
    : name_space_(name),
      direct_(std::make_unique<kube::HttpApiClient>(admin, &clock_, kube::HttpApiClientOptions{})) {
  EXPECT_TRUE(MakeNamespace().ok());
  auto proxy = cluster::ApiProxy::Start(admin);
  EXPECT_TRUE(proxy.ok()) << proxy.status();
  proxy_ = *std::move(proxy);
  access_ = {.server = proxy_->url(), .token = token};
  kubelet_ = std::make_unique<cluster::TestKubelet>(
      direct_.get(), &clock_,
      cluster::TestKubeletOptions{.name_space = name_space_, .nodes = {name_space_}});
  EXPECT_TRUE(kubelet_->Start().ok());
  Watch(kPods, [this](const controller::WatchEvent& event) { record_.OnEvent(event); });
  Watch(kTrainingJobs, [this](const controller::WatchEvent& event) {
    using Type = controller::WatchEvent::Type;
    if (event.type != Type::kAdded && event.type != Type::kModified) return;
    auto job = std::make_shared<json>(event.object);
    MutexLock lock(mutex_);
    job_ = std::move(job);
  });
  Watch(training_job::kCommunicationGraphs,
        [this](const controller::WatchEvent& event) { graphs_.OnEvent(event); });
}

void JobLife::Watch(const Resource& resource,
                    const std::function<void(const controller::WatchEvent&)>& on_event) {
  auto watch = direct_->OpenWatch(resource, name_space_, {}, on_event);
  EXPECT_TRUE(watch.ok()) << watch.status();
  watches_.push_back(*std::move(watch));
}

JobLife::~JobLife() {
  at_leisure_.clear();
  KillOperator();
  workers_.clear();
  watches_.clear();
  kubelet_.reset();
}

absl::Status JobLife::MakeNamespace() {
  const Resource namespaces{"", "v1", "namespaces", /*cluster_wide=*/true};
  absl::Status status = direct_
                            ->Create(namespaces, {{"apiVersion", "v1"},
                                                  {"kind", "Namespace"},
                                                  {"metadata", {{"name", name_space_}}}})
                            .status();
  // Whom pods run as.
  status.Update(direct_
                    ->Create({"", "v1", "serviceaccounts"},
                             {{"apiVersion", "v1"},
                              {"kind", "ServiceAccount"},
                              {"metadata", {{"name", "default"}, {"namespace", name_space_}}}})
                    .status());
  return status;
}

absl::Status JobLife::StartOperator() {
  operator_ = std::make_unique<Operator>(access_, &clock_, name_space_);
  absl::Status status = operator_->parts.Start();
  MutexLock lock(mutex_);
  place_ = {.address = status.ok() ? operator_->engine.topology_address() : "", .life = ++life_};
  return status;
}

void JobLife::KillOperator() {
  if (operator_ == nullptr) return;
  proxy_->Refuse(true);
  {
    MutexLock lock(mutex_);
    place_.address.clear();
  }
  operator_.reset();
  proxy_->Refuse(false);
}

void JobLife::KillAfterWrite(int n) {
  writes_ = 0;
  killed_ = false;
  proxy_->OnCalls([this, n](const ApiCall& call) {
    if (killed_) return Fate{.kind = Fate::Kind::kHangUp};
    if (!call.IsWrite() || ++writes_ != n) return Fate{};
    killed_ = true;
    return Fate{.kind = Fate::Kind::kDoAndHangUp};
  });
}

HubPlace JobLife::Place() const {
  MutexLock lock(mutex_);
  return place_;
}

absl::Status JobLife::Submit(int replicas) {
  record_.Allow(replicas);
  const json job = {
      {"apiVersion", api::kApiVersion},
      {"kind", api::kTrainingJobKind},
      {"metadata", {{"name", kJob}, {"namespace", name_space_}}},
      {"spec",
       {{"training", {{"model", "mlp"}, {"dataset", {{"name", "digits"}}}, {"epochs", 1}}},
        {"workers",
         {{"replicas", replicas},
          {"minReplicas", 1},
          {"maxReplicas", 8},
          {"template",
           {{"spec", {{"containers", {{{"name", "worker"}, {"image", "worker"}}}}}}}}}}}}};
  return direct_->Create(kTrainingJobs, job).status();
}

absl::Status JobLife::PatchSpec(const json& spec) {
  return direct_->Patch(kTrainingJobs, name_space_, kJob, {{"spec", spec}}).status();
}

absl::Status JobLife::Scale(int replicas, const std::vector<std::string>& remove_first) {
  record_.Allow(std::max(replicas, Number(*Job(), "/spec/workers/replicas")));
  return PatchSpec({{"workers", {{"replicas", replicas}, {"removeFirst", remove_first}}}});
}

absl::Status JobLife::Suspend(bool suspend) { return PatchSpec({{"suspend", suspend}}); }

controller::Object JobLife::Job() const {
  MutexLock lock(mutex_);
  return job_;
}

void JobLife::LookAfterWorkers() {
  const std::map<std::string, std::string> running = record_.running();
  std::set<std::string> uids;
  for (const auto& [name, uid] : running) {
    uids.insert(uid);
    if (ended_.contains(uid)) continue;
    std::unique_ptr<StreamedWorker>& worker = workers_[uid];
    if (worker == nullptr) {
      worker = std::make_unique<StreamedWorker>(
          simulation::ImitatedWorker::Pod{name_space_, kJob, name, uid}, [this] { return Place(); },
          [this] { return may_train_.load(); });
    } else if (worker->stopped() && ended_.insert(uid).second) {
      EXPECT_TRUE(kubelet_->End({name_space_, name}, {.exit_code = 0}).ok());
    }
  }
  for (auto it = workers_.begin(); it != workers_.end();) {
    const auto next = std::next(it);
    if (!uids.contains(it->first) || ended_.contains(it->first)) {
      workers_.erase(it);
    }
    it = next;
  }
}

bool JobLife::WaitUntil(const char* what, const std::function<bool(const json& job)>& done) {
  const Time deadline = clock_.Now() + kPatience;
  while (true) {
    if (killed_) {
      KillOperator();
      proxy_->OnCalls({});
      killed_ = false;
      if (const absl::Status status = StartOperator(); !status.ok()) {
        ADD_FAILURE() << status;
        return false;
      }
    }
    LookAfterWorkers();
    const controller::Object job = Job();
    if (done(*job)) return true;
    if (clock_.Now() > deadline) {
      ADD_FAILURE() << name_space_ << ": " << what << " does not come: " << job->dump(1);
      return false;
    }
    std::this_thread::sleep_for(kTurn);
  }
}

bool JobLife::WaitForMembers(int members) {
  const bool done = WaitUntil("the members", [&](const json& job) {
    return Number(job, "/status/workers/members") == members &&
           Number(job, "/status/workers/active") == members &&
           record_.active() == static_cast<size_t>(members);
  });
  record_.Allow(members);
  return done;
}

bool JobLife::WaitForPod(const std::string& name) {
  return WaitUntil("the pod", [&](const json&) { return record_.Has(name); });
}

bool JobLife::WaitForSuspended() {
  return WaitUntil("the suspension", [&](const json& job) {
    return IsTrue(job, api::kSuspended) && record_.unfinished() == 0 &&
           Number(job, "/status/workers/active") == 0;
  });
}

bool JobLife::WaitForSucceeded() {
  return WaitUntil("the end", [&](const json& job) {
    return IsTrue(job, api::kSucceeded) && record_.active() == 0;
  });
}

std::string JobLife::EndState() {
  const auto now = direct_->Get(kTrainingJobs, name_space_, kJob);
  EXPECT_TRUE(now.ok()) << now.status();
  const json job = now.value_or(json::object());
  std::string text;
  for (const json& condition : job.value("/status/conditions"_json_pointer, json::array())) {
    if (condition.at("status") != "True") continue;
    text += fmt::format("{} ", condition.at("type").get<std::string>());
  }
  text += fmt::format("restarts {}", Number(job, "/status/workers/restarts"));
  auto pods = direct_->List(kPods, name_space_, {});
  EXPECT_TRUE(pods.ok()) << pods.status();
  if (!pods.ok()) return text;
  for (const json& pod : (*pods)["items"]) {
    text += fmt::format(", {} {}",
                        pod.value(json::json_pointer("/metadata/labels/grapevine.dev~1slot"), ""),
                        pod.value("/status/phase"_json_pointer, ""));
  }
  return text;
}

std::vector<std::string> JobLife::Violations() const {
  std::vector<std::string> violations = record_.violations();
  std::ranges::copy(graphs_.violations(), std::back_inserter(violations));
  return violations;
}

}  // namespace grapevine::e2e
