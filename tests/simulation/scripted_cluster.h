#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "nlohmann/json.hpp"
#include "operator/local/api_server.h"
#include "tests/simulation/simulated_api.h"
#include "tests/simulation/simulated_operator.h"
#include "tests/simulation/worker_stream.h"

namespace grapevine::simulation {

// A cluster of three nodes around one job, "w" of namespace "default": an API server in memory,
// kubelets, workers that follow the protocol, and the operator, over a clock that moves in Run
// alone. A pod is given the emptiest node at once, runs at once, and is gone a second after its
// deletion, unless a Fate says otherwise. Thread-compatible.
class ScriptedCluster {
 public:
  // What becomes of pods; of several that name a pod the last one counts.
  struct Fate {
    std::string pods;  // a name, or the beginning of names and *
    // running | pending | unready | failed | evicted (by its kubelet) | preempted (or drained) |
    // threatened (to be disrupted, and not deleted yet) | reprieved (from that) |
    // deleted (by somebody) | terminating (deleted, and never gone)
    std::string state;
    std::string reason;   // why it is pending
    std::string message;  // its last words, or more about why it is pending
    int exit_code = 1;
  };

  ScriptedCluster();
  ~ScriptedCluster();

  void Run(Duration time);
  Duration now() const { return clock_.now - WorldClock().now; }  // since the beginning
  api::WallTime Wall() const;

  void Decree(Fate fate);
  // unreachable: its kubelet is silent, and the cluster says so; gone: so is its Node; back.
  void SetNode(const std::string& name, const std::string& state);
  bool full = false;  // no pod gets a node
  // Of the operator's creations in that resource; OK ends it.
  void Refuse(const std::string& plural, absl::Status why);
  void StartOperator();
  void StopOperator();

  local::ApiServer& server() { return server_; }
  std::vector<nlohmann::json> List(const controller::Resource& resource);
  // "  3 s  MemberJoined: w-0-0 joined: 1 now", warnings with a !, those since the last call.
  std::string TakeEvents() { return std::exchange(events_, ""); }

 private:
  class WorldClock final : public Clock {
   public:
    Time Now() const override { return now; }
    Time now = Time(1000s);
  };
  class Admission;
  struct Pod {
    std::unique_ptr<WorkerStream> worker;  // null before its container runs, and afterwards
    bool leaving = false;
    Time gone_at = Time::max();
    const Fate* met = nullptr;
  };

  std::string Version();  // of all that the server holds
  void LookAtPods();
  void StepPod(const nlohmann::json& pod);
  void StepDeleted(const nlohmann::json& pod, Pod& own);
  nlohmann::json Bound(const nlohmann::json& pod);  // as it is once it has a node
  void Start(const nlohmann::json& pod, Pod& own);
  void Meet(const Fate& fate, const nlohmann::json& pod, Pod& own);
  void End(Pod& own);
  void StepWorker(const std::string& node, Pod& own);
  void StepOperator();
  void RefreshCaches();
  std::string EmptiestNode();
  const Fate* FateOf(const std::string& pod) const;
  void WriteStatus(nlohmann::json pod, nlohmann::json status);

  WorldClock clock_;
  local::ApiServer server_;
  SimulatedApi api_;
  std::unique_ptr<Admission> admission_;
  std::vector<std::unique_ptr<const Fate>> fates_;
  std::map<std::string, Pod> pods_;     // by UID
  std::map<std::string, bool> silent_;  // by node
  std::vector<nlohmann::json> seen_pods_;
  std::string pods_seen_at_;  // the version
  std::string caches_show_;
  std::unique_ptr<SimulatedOperator> operator_;  // null while none runs
  std::string events_;
  int steps_ = 0;
};

}  // namespace grapevine::simulation
