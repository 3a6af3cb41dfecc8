#pragma once

#include <chrono>
#include <optional>

#include "nlohmann/json.hpp"

namespace grapevine::training_job {

// Kubernetes' own, by which a cluster says what is wrong with a node.
inline constexpr char kNotReadyTaint[] = "node.kubernetes.io/not-ready";
inline constexpr char kUnreachableTaint[] = "node.kubernetes.io/unreachable";
inline constexpr char kOutOfServiceTaint[] = "node.kubernetes.io/out-of-service";

// How long a pod's tolerations let it stay on a node that has one of these NoExecute taints;
// nullopt: for ever.
struct NodePatience {
  std::optional<std::chrono::seconds> not_ready = std::chrono::seconds(0);
  std::optional<std::chrono::seconds> unreachable = std::chrono::seconds(0);

  bool operator==(const NodePatience&) const = default;
};

// As Kubernetes reads spec.tolerations: the shortest of those that match counts. Pure.
NodePatience ReadPatience(const nlohmann::json& pod_spec);
// Leaves of spec.tolerations what ReadPatience reads.
void TrimTolerations(nlohmann::json& pod_spec);

// A worker has better things to do than to wait the default five minutes for a node that may come
// back: adds tolerations of kNodePatience for both taints, where the spec has none for them.
void AddTolerations(nlohmann::json& pod_spec);
inline constexpr std::chrono::seconds kNodePatience{30};

}  // namespace grapevine::training_job
