#pragma once

#include <optional>
#include <string>

namespace grapevine::cluster {

// The root of this source tree.
std::string SourceRoot();

// The folder with etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kubectl: what
// the environment variable GRAPEVINE_KUBERNETES names, else where `./dev tools` puts them. nullopt
// where they are not: the tests that need them are skipped.
std::optional<std::string> KubernetesPrograms();

}  // namespace grapevine::cluster
