#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"
#include "operator/api/training_job.h"
#include "operator/base/clock.h"
#include "operator/local/api_server.h"
#include "tests/simulation/simulated_api.h"
#include "tests/simulation/simulated_operator.h"
#include "tests/simulation/worker_stream.h"

namespace grapevine::simulation {

// The operator's parts, from its caches and its queue to its hub, over the in-memory API server and
// a simulated clock: one job, whose user, nodes, pods and workers do anything at any time, and an
// operator that dies between any two calls. Caches are lists of some moments, so that changes are
// seen late and several as one. One seed gives one run.
//
// What must hold is checked as it happens: never two active pods for a slot, no pod made beyond
// what was asked for, none deleted that nobody asked to be deleted, no epoch given to two
// graphs and no id to two workers, failures counted for good. The first violation is kept.
//
// Thread-compatible.
class OperatorWorld {
 public:
  struct Options {
    uint64_t seed = 0;
    int replicas = 4;
    int nodes = 4;
  };

  explicit OperatorWorld(const Options& options);
  ~OperatorWorld();

  const std::string& violation() const { return violation_; }
  std::mt19937_64& random() { return random_; }
  uint64_t Draw(uint64_t below) { return random_() % below; }

  // --- what happens ---

  void Scale(int replicas);
  void Suspend(bool suspend);
  void RequestStop();
  // The container of one of the pods that run fails, whichever; nothing where none runs.
  void KillPod();
  // What runs there falls silent; after some seconds its pods are evicted, and stay Terminating.
  void LoseNode(int node);
  void FindNode(int node);
  // At once, or at its n-th call from now on; another comes up some time later.
  void KillOperator(int calls);
  void FailCalls(Duration time);
  void DelayNews(Duration time);  // the caches stand still
  void ClearFinishedPods();       // as a cluster does that has many

  void RunFor(Duration time);
  bool RunUntil(Duration limit, const std::function<bool()>& done);

  // --- what is there ---

  nlohmann::json Job();
  bool IsTrue(const char* condition);
  int active() const;
  // As many active pods and members as asked for, and everybody says the same of them: status,
  // CommunicationGraph, hub, and each worker's view.
  bool Settled(int members);
  // Of pods, status and graph, for comparing two runs.
  std::string Describe();
  int operators() const { return life_; }
  size_t registered() const { return ids_.size(); }  // workers, so far

 private:
  class WorldClock final : public Clock {
   public:
    Time Now() const override { return now; }
    Time now = Time(1000s);
  };
  struct Worker;
  struct Pod {
    std::string uid;
    std::string slot;
    std::string phase;
    int node = -1;
    bool being_deleted = false;
    Time due{};  // when its kubelet does the next thing
    bool active() const { return !being_deleted && (phase == "Pending" || phase == "Running"); }
  };
  struct Node {
    bool lost = false;
    Time evicts_at = Time::max();
  };

  api::WallTime Wall() const;
  void Fail(const std::string& what);
  void Step();

  // Pods, their nodes and their kubelets.
  void LookAtPods();
  void CheckNewPod(const std::string& name);
  void OnDelete(const std::string& name);
  void StepPod(const std::string& name, Pod& pod);
  void StepNode(int number, Node& node);
  void WriteStatus(const std::string& name, const std::function<nlohmann::json(nlohmann::json&)>&);
  std::vector<nlohmann::json> List(const controller::Resource& resource);
  void PatchJob(const nlohmann::json& patch);

  // The workers.
  void StepWorker(Worker& worker);
  void Connect(Worker& worker);
  void Disconnect(Worker& worker);
  void OnHeard(const Worker& worker, const topology::HubMessage& message);

  // The operator.
  void StartOperator();
  void StepOperator();
  void Reconcile();
  void RefreshCaches();

  std::mt19937_64 random_;
  WorldClock clock_;
  local::ApiServer server_;
  SimulatedApi api_;
  std::vector<Node> nodes_;
  std::map<std::string, Pod> pods_;                         // by name
  std::map<std::string, std::unique_ptr<Worker>> workers_;  // by the pod's UID
  std::unique_ptr<SimulatedOperator> operator_;             // null while none runs
  Time operator_starts_{};
  int life_ = 0;
  Time news_held_until_{};
  int steps_ = 0;

  int replicas_ = 0;
  bool suspended_ = false;
  bool stopping_ = false;
  int heard_replicas_ = 0;  // as the operator had them for its last decision
  bool heard_suspended_ = false;
  int may_delete_ = 0;                   // pods that scaling in asked to go and that did not yet
  uint64_t last_epoch_ = 0;              // that was published, or that anyone was told
  std::map<uint64_t, std::string> ids_;  // of members, the pod's UID
  int restarts_ = 0;
  std::string violation_;
};

}  // namespace grapevine::simulation
