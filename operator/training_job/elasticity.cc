#include "operator/training_job/elasticity.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "fmt/format.h"
#include "operator/training_job/hindrances.h"

namespace grapevine::training_job {
namespace {

std::vector<const WorkerPod*> ActivePods(const Observed& observed) {
  std::vector<const WorkerPod*> active;
  for (const WorkerPod& pod : observed.pods) {
    if (pod.active()) active.push_back(&pod);
  }
  return active;
}

void AddMissing(const Observed& observed, const std::vector<const WorkerPod*>& active, size_t count,
                PodChanges& changes) {
  std::set<int32_t> taken;
  std::map<int32_t, int32_t> next_incarnation = observed.first_free;
  for (const WorkerPod* pod : active) taken.insert(pod->slot);
  for (const WorkerPod& pod : observed.pods) {
    int32_t& next = next_incarnation[pod.slot];
    next = std::max(next, pod.incarnation + 1);
  }
  for (int32_t slot = 0; changes.create.size() < std::min(count, kMostCreations); ++slot) {
    if (!taken.contains(slot)) changes.create.push_back({slot, next_incarnation[slot]});
  }
}

}  // namespace

PodChanges Scale(const Observed& observed, size_t desired) {
  PodChanges changes;
  std::vector<const WorkerPod*> active = ActivePods(observed);
  if (active.size() < desired) {
    AddMissing(observed, active, desired - active.size(), changes);
    return changes;
  }
  const std::vector<std::string>& first = observed.job.spec.workers.remove_first;
  const auto rank = [&](const WorkerPod* pod) {
    const auto named = static_cast<size_t>(std::ranges::find(first, pod->name) - first.begin());
    return std::tuple(named, pod->assigned, pod->state != WorkerPod::State::kPending, pod->ready,
                      pod->deletion_cost);
  };
  std::ranges::sort(active, [&](const WorkerPod* a, const WorkerPod* b) {
    if (rank(a) != rank(b)) return rank(a) < rank(b);
    // The newest goes; among those of one second the highest slot.
    return std::tie(a->created, a->slot) > std::tie(b->created, b->slot);
  });
  active.resize(active.size() - desired);
  for (const WorkerPod* pod : active) {
    changes.remove.push_back({pod->name, pod->uid, fmt::format("{} wanted", desired)});
  }
  return changes;
}

std::vector<PodToDelete> NextToRenew(const Observed& observed, const std::string& template_hash) {
  const auto desired = static_cast<size_t>(observed.job.spec.workers.replicas);
  const std::vector<const WorkerPod*> active = ActivePods(observed);
  std::vector<PodToDelete> old;
  std::vector<PodToDelete> not_started;
  for (const WorkerPod* pod : active) {
    if (pod->template_hash.empty() || pod->template_hash == template_hash) continue;
    auto& list = pod->state == WorkerPod::State::kPending ? not_started : old;
    list.push_back({pod->name, pod->uid, "its template has changed"});
  }
  if (!not_started.empty()) return not_started;
  const auto is_new = [&](const WorkerPod* pod) { return pod->template_hash == template_hash; };
  const auto homeless = static_cast<size_t>(std::ranges::count_if(active, [&](const auto* pod) {
    return is_new(pod) && pod->hindrance.reason == kUnschedulable;
  }));
  const bool proven = std::ranges::any_of(active, [&](const auto* pod) {
    return is_new(pod) && pod->state == WorkerPod::State::kRunning;
  });
  const size_t members = observed.hub.graph->size();
  const auto needed = static_cast<size_t>(observed.job.spec.workers.min_replicas);
  if (active.size() != desired || members + homeless < desired) return {};
  if (homeless > 0 && !proven && (homeless > 1 || members <= needed)) return {};
  old.resize(std::min<size_t>(old.size(), 1));
  return old;
}

std::string TemplateHash(const api::TrainingJobSpec& spec) {
  // FNV-1a: equal on every machine, and nobody gains by a collision.
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : spec.workers.pod_template.dump()) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  return fmt::format("{:016x}", hash);
}

}  // namespace grapevine::training_job
