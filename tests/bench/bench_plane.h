#pragma once

#include <memory>

#include "operator/kube/kubeconfig.h"
#include "tests/cluster/control_plane.h"

namespace grapevine {

// A control plane that knows the CRDs, for one benchmark.
struct BenchPlane {
  std::unique_ptr<cluster::ControlPlane> plane;
  kube::Access access;
};

// Ends the process, saying why, where there is none.
BenchPlane StartBenchPlane();

}  // namespace grapevine
