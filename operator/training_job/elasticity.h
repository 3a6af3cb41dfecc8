#pragma once

#include <set>
#include <string>
#include <vector>

#include "operator/training_job/decide.h"

namespace grapevine::training_job {

struct PodChanges {
  std::vector<PodToCreate> create;
  std::vector<PodToDelete> remove;
};

inline constexpr size_t kMostCreations = 500;  // in one decision

// Pods that are missing or too many for `desired` active ones. A missing one takes the lowest slot
// without an active pod, and an incarnation that no pod of that slot had. Too many go in the order
// of removeFirst, unassigned, pending, not ready, lower deletion cost, newest. Pure.
PodChanges Scale(const Observed& observed, size_t desired);

// Of the pods whose template is not `template_hash`: all that have not started, which cost nothing
// and may wait for this very change; where there are none, the first, when all desired pods take
// part. So a changed template reaches them one by one. Pods that find no node are not waited for
// once one of the new template runs; before that one such is passed by, where members are to spare:
// what is deleted makes room for it.
std::vector<PodToDelete> NextToRenew(const Observed& observed, const std::string& template_hash);

// Of spec.workers.template; an annotation of the pods made from it.
std::string TemplateHash(const api::TrainingJobSpec& spec);

}  // namespace grapevine::training_job
