#include "tests/bench/bench_plane.h"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "operator/base/check.h"

namespace grapevine {

BenchPlane StartBenchPlane() {
  auto plane = cluster::ControlPlane::Start();
  if (!plane.ok()) {
    std::fprintf(stderr, "%s\n", std::string(plane.status().message()).c_str());
    std::exit(1);
  }
  GRAPEVINE_CHECK((*plane)->InstallCrds().ok());
  auto access = kube::FindAccess({.kubeconfig = (*plane)->kubeconfig()});
  GRAPEVINE_CHECK(access.ok());
  return {*std::move(plane), *std::move(access)};
}

}  // namespace grapevine
