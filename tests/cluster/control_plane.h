#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "operator/local/child_process.h"
#include "tests/cluster/scratch_folder.h"

namespace grapevine::cluster {

// A Kubernetes control plane of one's own: etcd on a socket file and a real kube-apiserver on a
// free port of 127.0.0.1, with TLS, certificates made for it and RBAC. Ready 4 s after the start;
// 300 MiB. There are no nodes: pods stay Pending until a TestKubelet or a ProcessKubelet takes
// them. Nothing is collected or evicted unless the controller manager runs, and no pod gets a node
// by itself unless the scheduler does.
//
// Its processes end with the thread that started them, however that comes about, so start it from
// the main thread. Its folder goes away with it; when the start fails the folder stays, and the
// error tells the end of the logs. Thread-compatible; the paths may be read by any thread.
class ControlPlane {
 public:
  // Waits until /readyz says ok. NotFound without the programs (places.h).
  static absl::StatusOr<std::unique_ptr<ControlPlane>> Start();
  ~ControlPlane();

  // These return at once; each works once and does nothing when called again. The controller
  // manager collects garbage, evicts from tainted nodes and deletes the pods of a node that does
  // not exist, after 40 s; it does not miss the heartbeats of nodes.
  absl::Status StartControllerManager();
  absl::Status StartScheduler();

  const std::string& server() const { return server_; }          // https://127.0.0.1:PORT
  const std::string& kubeconfig() const { return kubeconfig_; }  // a file; may do everything
  const std::string& folder() const { return folder_; }          // for files that go with it

  // Runs kubectl with the admin's kubeconfig; what it printed. `input`, if any, becomes a file that
  // is named with -f.
  absl::StatusOr<std::string> Kubectl(std::vector<std::string> arguments,
                                      const std::string& input = "") const;

  // Applies what is in crds/ and waits until it is served.
  absl::Status InstallCrds() const;

  // Makes a namespace with its service account `default`, which pods need; its name.
  absl::StatusOr<std::string> NewNamespace();

  // A kubeconfig file of a service account, which is made if it is not there, with a token for an
  // hour. `rules`, an array of RBAC rules, hold in all namespaces; an empty one grants nothing more
  // than the account has already.
  absl::StatusOr<std::string> KubeconfigOf(const std::string& name_space,
                                           const std::string& account,
                                           const nlohmann::json& rules) const;

 private:
  ControlPlane(std::string programs, ScratchFolder scratch);

  absl::Status MakeCertificates() const;
  absl::Status StartEtcd();
  absl::Status StartApiServer();
  absl::Status WaitUntilReady();
  // Starts one of the programs in folder_ with its output in NAME.log.
  absl::Status StartProcess(const std::string& name, const std::vector<std::string>& options);
  absl::Status WriteKubeconfig(const std::string& path, const nlohmann::json& user) const;
  // `why`, with the end of each process's log.
  absl::Status Failed(const absl::Status& why) const;

  const std::string programs_;
  ScratchFolder scratch_;
  const std::string folder_;
  const std::string kubeconfig_;
  std::string server_;
  int port_holder_ = -1;  // a socket that keeps the port ours before the server has it
  int port_ = 0;
  int namespaces_ = 0;

  struct Process {
    std::string name;
    local::ChildProcess child;
  };
  std::vector<Process> processes_;  // in the order of their start
};

}  // namespace grapevine::cluster
