#pragma once

#include <sys/types.h>

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
#include "operator/base/clock.h"
#include "operator/base/mutex.h"
#include "operator/controller/api_client.h"
#include "operator/controller/informer.h"
#include "operator/controller/reconciler.h"
#include "operator/local/child_process.h"
#include "operator/local/output_lines.h"

namespace grapevine::local {

struct ProcessKubeletOptions {
  std::string name_space;           // whose pods it runs; empty: all
  std::string node_name = "local";  // it takes pods that have no node or this one
  bool binds = true;                // false: a scheduler gives pods their nodes
  // Where each pod's output goes, as <pod>.log. Empty: to standard error, each line after "[pod] ".
  std::string log_directory;
};

// Runs each pod as a child process, as a kubelet would run its container: starts it once, reports
// Running, then Succeeded or Failed with the exit code, and on deletion sends SIGTERM, after the
// grace period SIGKILL, and takes the object away. It starts nothing again; that is a controller's
// decision. However this process ends, SIGKILL too, its children end with it. Thread-safe.
class ProcessKubelet {
 public:
  // `client` and `clock` must outlive the kubelet.
  ProcessKubelet(controller::ApiClient* client, const Clock* clock, ProcessKubeletOptions options);
  ~ProcessKubelet();

  // REQUIRES: called once.
  void Start();
  // Kills what still runs, at once and without a word to the API server. For an orderly end delete
  // the pods first.
  void Stop();

  // To the pod's whole process group, for SIGSTOP, SIGCONT and SIGKILL in experiments. NotFound
  // when no process of that pod runs.
  absl::Status Signal(const controller::Request& pod, int signal);
  std::optional<pid_t> PidOf(const controller::Request& pod) const;
  std::vector<controller::Request> Running() const;

 private:
  struct Process {
    std::string uid;                    // of the pod
    std::optional<ChildProcess> child;  // empty once it has exited, or when it never started
    std::optional<OutputLines> output;
    std::optional<Time> kill_at;  // SIGTERM was sent
    bool killed = false;
  };

  void MarkDirty(const controller::Request& pod);
  void Wake();

  // All below on the kubelet's own thread, which is the one that starts processes: they are killed
  // when that thread ends.
  void Run();
  void Sync(const controller::Request& key);
  // Whether it has this node, or none that a scheduler would see to.
  bool IsMine(const nlohmann::json& pod) const;
  // Gives it this node if it has none; false when somebody else was first.
  bool Claim(const nlohmann::json& pod);
  void StartPod(const nlohmann::json& pod);
  void Terminate(const controller::Request& key, const nlohmann::json& pod);
  void Remove(const nlohmann::json& pod);
  void Reap();
  void KillOverdue();
  void WaitForWork();
  template <typename MakeStatus>
  void WriteStatus(const controller::Request& key, const std::string& uid, MakeStatus make_status);

  controller::ApiClient* const client_;
  const Clock* const clock_;
  const ProcessKubeletOptions options_;
  const int wake_fd_;

  mutable Mutex mutex_;
  std::map<controller::Request, Process> processes_ ABSL_GUARDED_BY(mutex_);
  std::set<controller::Request> dirty_ ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;

  controller::Informer pods_;
  std::thread thread_;  // set by Start, joined by Stop
};

}  // namespace grapevine::local
