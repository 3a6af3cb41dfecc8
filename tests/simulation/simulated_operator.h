#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "nlohmann/json.hpp"
#include "operator/base/clock.h"
#include "operator/controller/delaying_queue.h"
#include "operator/controller/object_store.h"
#include "operator/topology/hub.h"
#include "operator/training_job/training_job_reconciler.h"

namespace grapevine::simulation {

// One life of the operator of one job, from its caches and its queue to its hub, as
// operator/assembly puts them together, but without threads: whoever holds it says when a cache is
// read anew and when the job is reconciled. What it has in memory goes with it. Thread-compatible.
struct SimulatedOperator {
  struct Options {
    controller::Request job;
    controller::ApiClient* client = nullptr;
    const Clock* clock = nullptr;
    std::function<api::WallTime()> wall;
    // What a cache is filled from.
    std::function<std::vector<nlohmann::json>(const controller::Resource&)> list;
    bool on_cluster = false;  // there are nodes, a pod network, and companions
    std::function<void(const controller::Request&, const training_job::JobEvent&)> on_event;
  };

  struct Cache {
    const controller::Resource& resource;
    controller::ObjectStore& store;
    void (*trim)(nlohmann::json&) = nullptr;
    Time refresh_at = Time::max();  // max: it shows what there is
  };

  // The caches are filled and the job waits in the queue.
  explicit SimulatedOperator(Options options);

  // The job waits if that changed anything.
  void Refresh(Cache& cache);
  // REQUIRES: the job was taken from the queue. It is done afterwards, and waits again as
  // controller::Controller lets it.
  void Reconcile();

  const Options options;
  controller::ObjectStore jobs, graphs, pods, nodes;
  std::vector<Cache> caches;
  controller::DelayingQueue queue;
  topology::Hub hub;
  training_job::TrainingJobReconciler reconciler;
};

}  // namespace grapevine::simulation
