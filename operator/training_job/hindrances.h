#pragma once

#include <string>

#include "nlohmann/json.hpp"
#include "operator/training_job/observe.h"

namespace grapevine::training_job {

// Why a pod does not start, of a pod's status. Empty for one that merely has its turn to come
// (ContainerCreating, PodInitializing). ErrImagePull is told as ImagePullBackOff: a kubelet goes to
// and fro between the two. Pure.
Hindrance ReadHindrance(const nlohmann::json& pod_status);
// Leaves of the status' conditions and containers what ReadHindrance reads.
void TrimWaiting(nlohmann::json& container_state);

// A pod that waits for its admission to a queue: nothing is wrong with it.
inline constexpr char kSchedulingGated[] = "SchedulingGated";

inline constexpr char kUnschedulable[] = "Unschedulable";  // no node has room, or fits

// All that holds up the job's pods, in one line for its conditions: "pod digits-1-0 waits:
// ImagePullBackOff, and 2 more; pods are refused: exceeded quota". Empty when nothing does. Pure.
std::string DescribeHindrances(const Observed& observed);

}  // namespace grapevine::training_job
