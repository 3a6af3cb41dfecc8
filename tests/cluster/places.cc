#include "tests/cluster/places.h"

#include <unistd.h>

#include <cstdlib>

namespace grapevine::cluster {

std::string SourceRoot() { return GRAPEVINE_SOURCE_ROOT; }

std::optional<std::string> KubernetesPrograms() {
  const char* const named = std::getenv("GRAPEVINE_KUBERNETES");
  const std::string folder = named == nullptr ? GRAPEVINE_KUBERNETES : named;
  for (const char* program :
       {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"}) {
    if (access((folder + "/" + program).c_str(), X_OK) != 0) return std::nullopt;
  }
  return folder;
}

}  // namespace grapevine::cluster
