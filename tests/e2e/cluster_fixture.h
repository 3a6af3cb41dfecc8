#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "operator/base/clock.h"
#include "operator/kube/http_api_client.h"
#include "operator/local/process_kubelet.h"
#include "tests/cluster/shared_control_plane.h"
#include "tests/e2e/operator_process.h"

namespace grapevine::e2e {

// A namespace of a real API server for each test, and operators that see no more than their rules
// allow.
class ClusterTest : public ::testing::Test {
 protected:
  ClusterTest();
  void SetUp() override;

  // Pods become processes, on a node of the namespace's name.
  void StartKubelet();
  std::unique_ptr<OperatorProcess> StartOperator(const std::string& name);
  absl::StatusOr<std::string> Kubectl(std::vector<std::string> arguments,
                                      const std::string& input = "");
  // A job of examples/, with the worker of this build and checkpoints in the plane's folder.
  nlohmann::json Example(const std::string& file);
  // Waits for it as `kubectl wait --for` does.
  absl::Status WaitFor(const std::string& object, const std::string& what);

  RealClock clock_;
  cluster::ControlPlane& plane_ = cluster::SharedControlPlane();
  std::string name_space_;
  std::string kubeconfig_;
  const std::string topology_;  // as a Service's, it outlives who listens there
  std::unique_ptr<kube::HttpApiClient> client_;
  std::unique_ptr<local::ProcessKubelet> kubelet_;
};

}  // namespace grapevine::e2e
