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
#include "operator/controller/object_store.h"
#include "operator/kube/http_api_client.h"
#include "operator/kube/kubeconfig.h"
#include "tests/cluster/api_proxy.h"
#include "tests/cluster/test_kubelet.h"
#include "tests/e2e/records.h"
#include "tests/e2e/streamed_worker.h"

namespace grapevine::e2e {

// One job in a namespace of its own on a real API server: the operator's engine, which reaches the
// server through a proxy alone, a kubelet without machines, and imitated workers, which train when
// they may. Beside it stands a record of what happened to the pods, from watches that nothing
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
  void Watch(const controller::Resource& resource,
             const std::function<void(const controller::WatchEvent&)>& on_event);
  absl::Status PatchSpec(const nlohmann::json& spec);
  controller::Object Job() const;  // as the watch showed it last
  // Looks after the operator, if it was killed, and after the pods' workers, until `done`.
  bool WaitUntil(const char* what, const std::function<bool(const nlohmann::json& job)>& done);
  void LookAfterWorkers();
  HubPlace Place() const;

  RealClock clock_;
  const std::string name_space_;
  std::unique_ptr<kube::HttpApiClient> direct_;
  std::unique_ptr<cluster::ApiProxy> proxy_;
  kube::Access access_;  // through the proxy
  PodRecord record_{0};
  GraphRecord graphs_;
  std::unique_ptr<cluster::TestKubelet> kubelet_;
  std::atomic<bool> may_train_ = false;

  mutable Mutex mutex_;
  controller::Object job_ ABSL_GUARDED_BY(mutex_) =
      std::make_shared<nlohmann::json>(nlohmann::json::object());
  HubPlace place_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Operator> operator_;
  int life_ = 0;
  std::atomic<int> writes_ = 0;
  std::atomic<bool> killed_ = false;  // by KillAfterWrite; what is left is to be cleared away

  std::map<std::string, std::unique_ptr<StreamedWorker>> workers_;  // by uid of the pod
  std::set<std::string> ended_;                                     // uids
  std::vector<std::jthread> at_leisure_;
  std::vector<std::unique_ptr<controller::Watch>> watches_;  // last: they fill what is above
};

}  // namespace grapevine::e2e
