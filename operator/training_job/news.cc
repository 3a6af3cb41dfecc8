#include "operator/training_job/news.h"

#include <algorithm>
#include <map>

#include "fmt/format.h"
#include "operator/training_job/hindrances.h"

namespace grapevine::training_job {
namespace {

// "a", "a and b", "a, b, c and 4 more".
std::string Names(const std::vector<std::string>& names) {
  constexpr size_t kNamed = 3;
  const size_t named = std::min(names.size(), kNamed);
  std::string text;
  for (size_t i = 0; i < named; ++i) {
    const bool last = i + 1 == names.size();
    if (i > 0) text += last ? " and " : ", ";
    text += names[i];
  }
  if (names.size() > named) text += fmt::format(" and {} more", names.size() - named);
  return text;
}

std::string PodOf(const Observed& observed, MemberId id) {
  for (const topology::RegistrantView& view : observed.hub.registrants) {
    if (view.rules.id == id) return view.rules.pod;
  }
  return fmt::format("member {}", id);
}

// A reason of several names none of them. `word` may stand there with more at its end.
std::string Without(const std::string& word, std::string text) {
  const size_t at = text.find(" " + word);
  if (at != std::string::npos) text.erase(at, text.find_first_of(" :,", at + 1) - at);
  return text;
}

std::string FolderOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

}  // namespace

void News::Add(JobEvent event) {
  if (untold_.size() < kMostUntold) untold_.push_back(std::move(event));
}

void News::Note(const Observed& observed, const Decision& decision) {
  if (decision.directives.publish) NoteMembers(observed, *decision.directives.publish);
  NoteHindrances(observed);
  NoteOrphans(observed);
  NoteLife(observed, decision);
  begun_ = true;
}

void News::NoteMembers(const Observed& observed, const topology::Publication& published) {
  std::vector<std::string> joined;
  for (const graph::Member& member : published.graph.members()) {
    if (observed.hub.graph->Find(member.id) == nullptr) {
      joined.push_back(PodOf(observed, member.id));
    }
  }
  const size_t now = published.graph.size();
  if (!joined.empty()) {
    Add({false, "MemberJoined", fmt::format("{} joined: {} now", Names(joined), now)});
  }
  std::map<std::string, std::vector<std::string>> left;  // by reason
  for (const membership::Removal& removal : published.removed) {
    const std::string pod = PodOf(observed, removal.id);
    left[Without(pod, removal.reason)].push_back(pod);
  }
  for (const auto& [reason, pods] : left) {
    Add({false, "MemberLeft", fmt::format("{} left, {}: {} now", Names(pods), reason, now)});
  }
}

void News::NoteHindrances(const Observed& observed) {
  std::set<std::pair<std::string, std::string>> hindered;
  std::map<std::string, std::pair<std::vector<std::string>, std::string>> fresh;  // by reason
  for (const WorkerPod& pod : observed.pods) {
    const std::string& reason = pod.hindrance.reason;
    if (!pod.active() || reason.empty() || reason == kSchedulingGated) continue;
    hindered.emplace(pod.uid, reason);
    if (hindered_.contains({pod.uid, reason})) continue;
    auto& [pods, message] = fresh[reason];
    pods.push_back(pod.name);
    if (message.empty()) message = pod.hindrance.message;
  }
  for (const auto& [reason, what] : fresh) {
    const auto& [pods, message] = what;
    Add({true, "PodWaiting",
         fmt::format("{}: {}{}{}", Names(pods), reason, message.empty() ? "" : ": ", message)});
  }
  hindered_ = std::move(hindered);
}

void News::NoteOrphans(const Observed& observed) {
  if (!observed.orphans.adopted.empty()) {
    Add({false, "PodAdopted",
         fmt::format("of no owner, the job's again: {}", Names(observed.orphans.adopted))});
  }
  std::set<std::string> refused;
  for (const Orphans::Refused& orphan : observed.orphans.refused) {
    refused.insert(orphan.uid);
    if (refused_.contains(orphan.uid)) continue;
    Add({true, "PodNotAdopted",
         fmt::format("{} has the job's label, but {}", orphan.pod, orphan.why)});
  }
  refused_ = std::move(refused);
}

void News::NoteLife(const Observed& observed, const Decision& decision) {
  const topology::Directives& directives = decision.directives;
  const auto was = [&](const char* type) {
    return api::IsTrue(observed.job.status.conditions, type);
  };
  const auto is = [&](const char* type) { return api::IsTrue(decision.status.conditions, type); };
  if (was(api::kSuspended) && !is(api::kSuspended)) {
    Add({false, "Resumed", "the job is no longer suspended: its pods are made again"});
  }
  if (directives.start == membership::Start::kSeed && observed.hub.samples > 0) {
    Add({true, "StartedAnew",
         "nobody has the model and there is no checkpoint: training begins again from the seed"});
  }
  if (directives.start == membership::Start::kCheckpoint) {
    Add({false, "CheckpointLoaded",
         fmt::format("training goes on from {}", directives.start_checkpoint)});
  }
  if (observed.hub.checkpointed_at && observed.hub.checkpointed_at != checkpointed_at_ && begun_) {
    // The same words each time, so that the many are one event with a count.
    Add({false, "CheckpointWritten",
         fmt::format("a checkpoint was written to {}", FolderOf(observed.hub.checkpoint))});
  }
  checkpointed_at_ = observed.hub.checkpointed_at;
  if (directives.finish) {
    Add({false, "Finishing", "no more batches are given out; the models meet, and one is kept"});
  }
}

void News::NoteCreated(const std::vector<std::string>& pods) {
  if (pods.empty()) return;
  Add({false, "PodsCreated",
       fmt::format("{} {} created: {}", pods.size(), pods.size() == 1 ? "pod" : "pods",
                   Names(pods))});
}

void News::NoteDeleted(const std::vector<PodToDelete>& pods) {
  std::map<std::string, std::vector<std::string>> by_reason;
  for (const PodToDelete& pod : pods) by_reason[pod.reason].push_back(pod.name);
  for (const auto& [reason, names] : by_reason) {
    Add({false, "PodsDeleted", fmt::format("{} deleted: {}", Names(names), reason)});
  }
}

}  // namespace grapevine::training_job
