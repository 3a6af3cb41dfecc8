#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "operator/training_job/observe.h"

namespace grapevine::training_job {

// How many pods of a job the cluster took so far. Most of them vanish soon after, so they are
// counted when they are first seen to be disrupted, each once by its uid. What an operator finds at
// its start may be in the job's status already, and is taken to be as far as that reaches: a new
// leader counts nothing twice, and misses those that came and went while there was none.
// Thread-compatible. Memory: the uids of the disrupted pods that are still there.
class DisruptionTally {
 public:
  // `in_status` is what the job's status says. Never less than what it returned before.
  int32_t Count(const std::vector<WorkerPod>& pods, int32_t in_status);

 private:
  bool started_ = false;
  int32_t total_ = 0;
  std::set<std::string> counted_;
};

}  // namespace grapevine::training_job
