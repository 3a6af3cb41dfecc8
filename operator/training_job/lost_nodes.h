#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "operator/controller/object_store.h"
#include "operator/training_job/observe.h"

namespace grapevine::training_job {

// Takes off a node what is not read here: readiness and taints stay.
void TrimNode(nlohmann::json& node);

// Whether pods on it may fare otherwise than before. Most changes of a node are heartbeats.
bool NodeFaresOtherwise(const controller::ObjectChange& change);

// NotFound: there is no such node. Any other error: nobody knows.
using NodeLookup = std::function<absl::StatusOr<nlohmann::json>(const std::string& name)>;

// Judges the nodes of the pods that have not ended, and says of each pod whether it is lost with
// its node, or when it will be. A node is lost for a pod
//   - that is gone, or that somebody tainted out-of-service: its machine is off;
//   - that is not Ready and has been tainted not-ready or unreachable for longer than the pod
//     tolerates. A cluster that cannot reach most of its nodes taints none, and loses none.
// A lost pod counts as disrupted. Pure, but for `find`, which is called once a node.
void JudgeNodes(std::vector<WorkerPod>& pods, api::WallTime now, const NodeLookup& find);

}  // namespace grapevine::training_job
