#pragma once

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "operator/training_job/decide.h"

namespace grapevine::training_job {

// What happens to a job, in plain words, as events for whoever describes it; what its conditions
// say is told elsewhere. Many of a kind at once are one event. What was told stays here until Take,
// so that it outlives a status write that fails. Thread-compatible; holds at most kMostUntold.
class News {
 public:
  static constexpr size_t kMostUntold = 50;  // more are dropped, the latest first

  // Of a decision that is being carried out: members that join and leave, hindrances of pods and
  // orphans, checkpoints, the steps of a job's life. The first one observed is where it begins.
  void Note(const Observed& observed, const Decision& decision);
  // Of pods, by name.
  void NoteCreated(const std::vector<std::string>& pods);
  void NoteDeleted(const std::vector<PodToDelete>& pods);

  void Add(JobEvent event);

  std::vector<JobEvent> Take() { return std::exchange(untold_, {}); }

 private:
  void NoteMembers(const Observed& observed, const topology::Publication& published);
  void NoteHindrances(const Observed& observed);
  void NoteOrphans(const Observed& observed);
  void NoteLife(const Observed& observed, const Decision& decision);

  std::vector<JobEvent> untold_;
  bool begun_ = false;
  std::optional<Time> checkpointed_at_;
  std::set<std::pair<std::string, std::string>> hindered_;  // pod's uid and reason: told
  std::set<std::string> refused_;                           // orphans' uids: told
};

}  // namespace grapevine::training_job
