#include "operator/training_job/disruption_tally.h"

#include <algorithm>
#include <utility>

namespace grapevine::training_job {

int32_t DisruptionTally::Count(const std::vector<WorkerPod>& pods, int32_t in_status) {
  std::set<std::string> counted;
  int32_t found = 0;
  for (const WorkerPod& pod : pods) {
    const bool before = counted_.contains(pod.uid);
    if (!before && !pod.disrupted) continue;
    if (!before) ++found;
    counted.insert(pod.uid);
  }
  total_ = started_ ? std::max(in_status, total_ + found) : std::max(in_status, found);
  started_ = true;
  counted_ = std::move(counted);
  return total_;
}

}  // namespace grapevine::training_job
