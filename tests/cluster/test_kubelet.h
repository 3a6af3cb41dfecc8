#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "nlohmann/json.hpp"
#include "operator/base/clock.h"
#include "operator/base/mutex.h"
#include "operator/controller/api_client.h"
#include "operator/controller/informer.h"

namespace grapevine::cluster {

struct TestKubeletOptions {
  std::string name_space;                     // whose pods it takes; empty: all
  std::vector<std::string> nodes = {"node"};  // it makes them; pods go to them in turn
  bool binds = true;                          // false: a scheduler gives pods their nodes
  Duration deletion_delay{};                  // from the deletionTimestamp until the pod is gone
};

// How a pod's container ended.
struct PodEnd {
  int exit_code = 1;
  std::string reason = "Error";
  std::string message;  // what the program left as its termination message
};

// Nodes and running pods without machines and processes, through the API alone: gives each pod a
// node, makes it Running and Ready with an IP of its own, and takes it away once it is being
// deleted. Nothing runs in a pod and none ends by itself. For pods with real processes there is
// local::ProcessKubelet. Thread-safe.
class TestKubelet {
 public:
  // `client` and `clock` must outlive the kubelet.
  TestKubelet(controller::ApiClient* client, const Clock* clock, TestKubeletOptions options);
  ~TestKubelet();

  // Makes the nodes, Ready, and begins to take pods. REQUIRES: called once.
  absl::Status Start();
  // Takes the nodes away, so that no scheduler gives them to anyone; pods stay as they are.
  void Stop();

  // A pod whose name begins with `prefix` stays Pending, on no node, until it is released.
  void Hold(const std::string& prefix);
  void Release(const std::string& prefix);

  // The container of a pod that runs ends: Succeeded for exit code 0, else Failed.
  absl::Status End(const controller::Request& pod, const PodEnd& end);
  // The cluster takes the pod: the condition DisruptionTarget, then its deletion.
  absl::Status Evict(const controller::Request& pod,
                     const std::string& reason = "EvictionByEvictionAPI");
  // The node's kubelet falls silent: Ready becomes Unknown, with the taints that go with it, and
  // nothing happens to its pods any more, not even their deletion ends.
  absl::Status LoseNode(const std::string& node);

 private:
  void Run();
  void Sync(const controller::Request& key);
  absl::Status MakeNode(const std::string& name);
  // False when the pod has no node afterwards.
  bool GiveNode(const nlohmann::json& pod);
  void MakeRunning(const nlohmann::json& pod);
  // `status` makes the new status of the object as it is now.
  absl::Status WriteStatus(const controller::Resource& resource, const controller::Request& key,
                           const std::function<nlohmann::json(const nlohmann::json&)>& status);
  bool IsHeldLocked(const std::string& pod) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void MarkDirty(const controller::Request& key);

  controller::ApiClient* const client_;
  const Clock* const clock_;
  const TestKubeletOptions options_;

  Mutex mutex_;
  CondVar changed_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<std::string> held_ ABSL_GUARDED_BY(mutex_);        // prefixes
  std::set<std::string> lost_nodes_ ABSL_GUARDED_BY(mutex_);  // names
  // When to look at a pod.
  std::map<controller::Request, Time> due_ ABSL_GUARDED_BY(mutex_);
  // When a pod that is being deleted was first seen to be, by UID.
  std::map<std::string, Time> deleted_ ABSL_GUARDED_BY(mutex_);

  // On the kubelet's own thread.
  size_t next_node_ = 0;
  uint32_t pods_started_ = 0;

  std::set<std::string> made_nodes_;  // set by Start
  controller::Informer pods_;
  std::thread thread_;  // set by Start, joined by Stop
};

}  // namespace grapevine::cluster
