#include "tests/simulation/simulated_operator.h"

#include <utility>

#include "operator/api/labels.h"
#include "operator/training_job/apply.h"
#include "operator/training_job/lost_nodes.h"

namespace grapevine::simulation {

SimulatedOperator::SimulatedOperator(Options the_options)
    : options(std::move(the_options)),
      pods(api::kJobNameLabel),
      caches{{training_job::kTrainingJobs, jobs},
             {training_job::kPods, pods, training_job::TrimWorkerPod},
             {training_job::kCommunicationGraphs, graphs}},
      queue(options.clock),
      hub(*options.clock, [this](const topology::JobKey&) { queue.Add(options.job); }),
      reconciler({.client = options.client,
                  .jobs = &jobs,
                  .pods = &pods,
                  .graphs = &graphs,
                  .nodes = [this] { return options.on_cluster ? &nodes : nullptr; },
                  .hub = &hub,
                  .companions = options.on_cluster,
                  .clock = options.clock,
                  .wall = options.wall,
                  .on_event = options.on_event},
                 {.hub_address = "hub:1", .pod_network = options.on_cluster}) {
  if (options.on_cluster) caches.push_back({training_job::kNodes, nodes, training_job::TrimNode});
  for (Cache& cache : caches) Refresh(cache);
  queue.Add(options.job);
}

void SimulatedOperator::Refresh(Cache& cache) {
  std::vector<nlohmann::json> objects = options.list(cache.resource);
  if (cache.trim != nullptr) {
    for (nlohmann::json& object : objects) cache.trim(object);
  }
  if (!cache.store.Replace(std::move(objects)).empty()) queue.Add(options.job);
}

void SimulatedOperator::Reconcile() {
  const auto result = reconciler.Reconcile(options.job);
  if (result.ok()) {
    queue.Forget(options.job);
    if (result->requeue_after) queue.AddAfter(options.job, *result->requeue_after);
  } else {
    queue.AddRateLimited(options.job);
  }
  queue.Done(options.job);
}

}  // namespace grapevine::simulation
