#pragma once

#include <string>

#include "nlohmann/json.hpp"
#include "operator/api/training_job.h"
#include "operator/training_job/decide.h"

namespace grapevine::training_job {

// <job>-<slot>-<incarnation>: the same for whoever makes it, so that it can be made once only.
std::string PodName(const std::string& job, const PodToCreate& pod);

// The job as controlling owner.
nlohmann::json OwnerReference(const api::TrainingJob& job);

// How a worker pod is run and reaches the hub.
struct WorkerLaunch {
  std::string hub_address;  // host:port
  // Of a template that names none; empty: left out. It runs as a user without rights, whatever a
  // template's own may need.
  std::string image;
  // Pods are on a cluster's nodes and have addresses of their own, by which their peers reach them;
  // else they share this machine and its address.
  bool pod_network = false;
};

// The pod object: the template, and on top of it name, labels (a Kueue queue's of the job too, so
// that each pod is admitted alone: no gang waits, none is preempted whole), the job as controlling
// owner, and the environment that the first container's worker reads
// (worker/assembly/environment.h). On a pod network the worker's metrics are at the port named
// "metrics". restartPolicy is Never: a worker that ends is another
// incarnation. Pure.
nlohmann::json MakeWorkerPod(const api::TrainingJob& job, const PodToCreate& pod,
                             const WorkerLaunch& launch);

}  // namespace grapevine::training_job
