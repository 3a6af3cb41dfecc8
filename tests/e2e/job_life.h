#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "nlohmann/json.hpp"
#include "operator/assembly/job_engine.h"
#include "operator/base/clock.h"
#include "operator/base/mutex.h"
#include "operator/base/supervisor.h"
#include "operator/controller/api_client.h"
#include "operator/kube/http_api_client.h"
#include "operator/kube/kubeconfig.h"
#include "tests/cluster/api_proxy.h"
#include "tests/cluster/test_kubelet.h"
#include "tests/e2e/streamed_worker.h"

namespace grapevine::e2e {

// What the API server showed of a job's pods, change by change, and what is wrong with it: a second
// active pod for a slot, more active pods than were asked for. Thread-safe.
class PodRecord {
 public:
  explicit PodRecord(int asked) : asked_(asked) {}

  void OnEvent(const controller::WatchEvent& event);
  // From now on so many active pods may be there at once.
  void Allow(int asked);

  std::vector<std::string> violations() const;
  // Slots of those that somebody deleted while they had not ended, ascending.
  std::vector<std::string> deleted() const;
  // Whose containers run and who are not being deleted.
  std::map<std::string, std::string> running() const;  // name to uid
  size_t active() const;
  size_t unfinished() const;                // active ones, and those that are being deleted
  bool Has(const std::string& name) const;  // among running()

 private:
  struct Pod {
    std::string uid;
    std::string slot;
    std::string phase;
    bool being_deleted = false;
    bool ended() const { return phase == "Succeeded" || phase == "Failed"; }
    bool active() const { return !ended() && !being_deleted; }
  };
  void CheckLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  int asked_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Pod> pods_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> deleted_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> violations_ ABSL_GUARDED_BY(mutex_);
};

// One job in a namespace of its own on a real API server: the operator's engine, which reaches the
// server through a proxy alone, a kubelet without machines, and imitated workers, which train when
// they may. Beside it stands a record of what happened to the pods, from a watch that nothing
// disturbs. Waits end after 20 s. Lives on the test's thread.
class JobLife {
 public:
  // `admin` may do everything; `token` is the operator's.
  JobLife(const kube::Access& admin, const kube::Material& token, const std::string& name);
  ~JobLife();

  cluster::ApiProxy& proxy() { return *proxy_; }
  const std::string& name_space() const { return name_space_; }
  controller::ApiClient& direct() { return *direct_; }
  cluster::TestKubelet& kubelet() { return *kubelet_; }

  // --- the operator ---

  absl::Status StartOperator();
  // It makes no call from now on, and nothing of it is left.
  void KillOperator();
  // Kills it once its `n`-th write from now on, from 1, is done and before it learns of that, and
  // starts another at once. Through the proxy's script for calls.
  void KillAfterWrite(int n);
  // On a thread that ends with the life, at the latest.
  void AtLeisure(std::function<void()> work) { at_leisure_.emplace_back(std::move(work)); }
  // How many of them there were.
  int operators() const { return life_; }
  int writes() const { return writes_; }  // since KillAfterWrite

  // --- the user ---

  absl::Status Submit(int replicas);
  absl::Status Scale(int replicas, const std::vector<std::string>& remove_first = {});
  absl::Status Suspend(bool suspend);
  void Train() { may_train_ = true; }

  // --- what comes of it; false, and a failure of the test, when it does not come ---

  bool WaitForMembers(int members);  // as the status has it, and as many pods are active
  bool WaitForPod(const std::string& name);
  bool WaitForSuspended();
  bool WaitForSucceeded();

  // Members, edges and epoch are left out: these may differ with what happened.
  std::string EndState();
  // Of the pods and of epochs.
  std::vector<std::string> Violations() const;
  std::vector<std::string> deleted() const { return record_.deleted(); }

 private:
  struct Operator {
    Operator(const kube::Access& access, const Clock* clock, const std::string& name_space);
    kube::HttpApiClient client;
    controller::Probe probe;
    assembly::JobEngine engine;
    Supervisor parts;
  };

  absl::Status MakeNamespace();
  absl::Status PatchSpec(const nlohmann::json& spec);
  nlohmann::json Job();
  // Looks after the operator, if it was killed, and after the pods' workers, until `done`.
  bool WaitUntil(const char* what, const std::function<bool(const nlohmann::json& job)>& done);
  void LookAfterWorkers();
  void LookAtGraph();
  HubPlace Place() const;

  RealClock clock_;
  const std::string name_space_;
  std::unique_ptr<kube::HttpApiClient> direct_;
  std::unique_ptr<cluster::ApiProxy> proxy_;
  kube::Access access_;  // through the proxy
  PodRecord record_{0};
  std::unique_ptr<cluster::TestKubelet> kubelet_;
  std::unique_ptr<controller::Watch> watch_;
  std::atomic<bool> may_train_ = false;

  mutable Mutex mutex_;
  HubPlace place_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Operator> operator_;
  int life_ = 0;
  std::atomic<int> writes_ = 0;
  std::atomic<bool> killed_ = false;  // by KillAfterWrite; what is left is to be cleared away

  std::map<std::string, std::unique_ptr<StreamedWorker>> workers_;  // by uid of the pod
  std::set<std::string> ended_;                                     // uids
  std::map<uint64_t, std::string> graphs_;                          // edges, by epoch
  std::vector<std::string> violations_;
  std::vector<std::jthread> at_leisure_;
};

}  // namespace grapevine::e2e
