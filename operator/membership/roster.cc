#include "operator/membership/roster.h"

#include <algorithm>
#include <unordered_map>

#include "fmt/format.h"
#include "fmt/ranges.h"

namespace grapevine::membership {
namespace {

class Deliberation {
 public:
  Deliberation(const Observation& observation, Time now) : observation_(observation), now_(now) {}

  Decision Run() {
    FindPods();
    for (const Registrant& registrant : observation_.registrants) Judge(registrant);
    if (observation_.finishing && members_ > 0) {
      for (const Registrant* registrant : waiting_) decision_.stop.push_back(registrant->id);
    } else {
      decision_.leave_finish = observation_.finishing;
      ChooseStart();
      Admit();
      Assign();
    }
    Sort();
    return decision_;
  }

 private:
  void FindPods();
  void Judge(const Registrant& registrant);
  std::string ReasonToLeave(const Registrant& registrant);
  std::string PodsReason(const Registrant& registrant) const;
  void ChooseStart();
  bool MayBeAdmitted(const Registrant& registrant) const;
  void Admit();
  void Assign();
  void Sort();
  void CheckAt(Time time) {
    if (!decision_.next_check || time < *decision_.next_check) decision_.next_check = time;
  }

  const Observation& observation_;
  const Time now_;
  Decision decision_;
  std::unordered_map<std::string, PodState> pods_;
  std::unordered_map<std::string, MemberId> newest_of_pod_;
  size_t members_ = 0;                      // that stay
  std::vector<const Registrant*> waiting_;  // that are still there
  Start start_ = Start::kNone;              // what an empty roster would begin from
};

void Deliberation::FindPods() {
  for (const Pod& pod : observation_.pods) pods_[pod.name] = pod.state;
  for (const Registrant& registrant : observation_.registrants) {
    MemberId& newest = newest_of_pod_[registrant.pod];
    newest = std::max(newest, registrant.id);
  }
}

std::string Deliberation::PodsReason(const Registrant& registrant) const {
  auto pod = pods_.find(registrant.pod);
  if (pod == pods_.end()) {
    // A pod that registers before the cache has seen it is not gone.
    return registrant.member ? fmt::format("its pod {} is gone", registrant.pod) : "";
  }
  switch (pod->second) {
    case PodState::kRunning:
      return "";
    case PodState::kTerminating:
      return fmt::format("its pod {} is being deleted", registrant.pod);
    case PodState::kDisrupted:
      return fmt::format("its pod {} is being evicted", registrant.pod);
    case PodState::kFinished:
      return fmt::format("its pod {} has finished", registrant.pod);
  }
  return "";
}

std::string Deliberation::ReasonToLeave(const Registrant& registrant) {
  if (registrant.leaving) return "it said that it leaves";
  if (std::string reason = PodsReason(registrant); !reason.empty()) return reason;
  if (const MemberId newest = newest_of_pod_[registrant.pod]; newest != registrant.id) {
    return fmt::format("its pod {} registered anew as member {}", registrant.pod, newest);
  }
  if (registrant.broken_since && now_ - *registrant.broken_since >= kBrokenStream) {
    return fmt::format("its stream has been broken for {:.1f} s",
                       ToSeconds(now_ - *registrant.broken_since));
  }
  if (now_ - registrant.last_report >= kSilence) {
    return fmt::format("no report for {:.1f} s", ToSeconds(now_ - registrant.last_report));
  }
  if (registrant.broken_since) CheckAt(*registrant.broken_since + kBrokenStream);
  CheckAt(registrant.last_report + kSilence);
  return "";
}

void Deliberation::Judge(const Registrant& registrant) {
  if (std::string reason = ReasonToLeave(registrant); !reason.empty()) {
    auto& list = registrant.member ? decision_.remove : decision_.forget;
    list.push_back({registrant.id, std::move(reason)});
  } else if (registrant.member) {
    ++members_;
  } else {
    waiting_.push_back(&registrant);
  }
}

// What it said may be older than what it was told since; then it is overwriting what it had.
Holds HeldNow(const Registrant& registrant) {
  bool as_told = false;
  switch (registrant.assigned) {
    case Role::kUnassigned:
      as_told = true;
      break;
    case Role::kSeed:
      as_told = registrant.holds == Holds::kSeed;
      break;
    case Role::kCheckpoint:
      as_told = registrant.holds == Holds::kCheckpoint &&
                registrant.held_checkpoint == registrant.assigned_checkpoint;
      break;
    case Role::kKeep:
      as_told = registrant.holds == Holds::kState || registrant.holds == Holds::kCopy;
      break;
    case Role::kCopy:
      as_told = registrant.holds == Holds::kCopy;
      break;
  }
  return as_told ? registrant.holds : Holds::kNothing;
}

bool HoldsState(const Registrant& registrant) {
  const Holds holds = HeldNow(registrant);
  return holds == Holds::kState || holds == Holds::kCopy;
}

void Deliberation::ChooseStart() {
  if (members_ > 0) return;
  const bool survivor = std::ranges::any_of(waiting_, [this](const Registrant* registrant) {
    return HoldsState(*registrant) && pods_.contains(registrant->pod);
  });
  start_ = survivor                          ? Start::kSurvivor
           : observation_.checkpoint.empty() ? Start::kSeed
                                             : Start::kCheckpoint;
}

bool Deliberation::MayBeAdmitted(const Registrant& registrant) const {
  if (!registrant.ready_since || registrant.broken_since || !pods_.contains(registrant.pod)) {
    return false;
  }
  switch (start_) {
    case Start::kNone:
      return HeldNow(registrant) == Holds::kCopy;
    case Start::kSurvivor:
      return HoldsState(registrant);
    case Start::kCheckpoint:
      return HeldNow(registrant) == Holds::kCheckpoint &&
             registrant.held_checkpoint == observation_.checkpoint;
    case Start::kSeed:
      return HeldNow(registrant) == Holds::kSeed;
  }
  return false;
}

void Deliberation::Admit() {
  std::vector<MemberId> ready;
  Time first = Time::max();
  for (const Registrant* registrant : waiting_) {
    if (!MayBeAdmitted(*registrant)) continue;
    ready.push_back(registrant->id);
    first = std::min(first, *registrant->ready_since);
  }
  if (ready.empty()) return;
  if (decision_.remove.empty() && now_ < first + kJoinBatch) {
    CheckAt(first + kJoinBatch);
    return;
  }
  std::ranges::sort(ready);
  decision_.admit = std::move(ready);
  decision_.start = start_;
  if (start_ == Start::kCheckpoint) decision_.checkpoint = observation_.checkpoint;
}

void Deliberation::Assign() {
  const bool copy = members_ > 0 || !decision_.admit.empty();
  for (const Registrant* registrant : waiting_) {
    if (std::ranges::binary_search(decision_.admit, registrant->id)) continue;
    Assignment assignment{.id = registrant->id};
    if (copy) {
      assignment.role = Role::kCopy;
      assignment.reason = "the roster has members to copy from";
    } else if (start_ == Start::kSurvivor) {
      const bool keeps = HoldsState(*registrant);
      assignment.role = keeps ? Role::kKeep : Role::kCopy;
      assignment.reason = keeps ? "the roster is empty and it holds the job's state"
                                : "another registrant holds the job's state";
    } else if (start_ == Start::kCheckpoint) {
      assignment.role = Role::kCheckpoint;
      assignment.checkpoint = observation_.checkpoint;
      assignment.reason = "the roster is empty and nobody holds the job's state";
    } else {
      assignment.role = Role::kSeed;
      assignment.reason = "the roster is empty and there is no checkpoint";
    }
    const bool news = assignment.role != registrant->assigned ||
                      (assignment.role == Role::kCheckpoint &&
                       assignment.checkpoint != registrant->assigned_checkpoint);
    if (news) decision_.assign.push_back(std::move(assignment));
  }
}

void Deliberation::Sort() {
  std::ranges::sort(decision_.stop);
  std::ranges::sort(decision_.remove, {}, &Removal::id);
  std::ranges::sort(decision_.forget, {}, &Removal::id);
  std::ranges::sort(decision_.assign, {}, &Assignment::id);
}

}  // namespace

std::string_view RoleName(Role role) {
  switch (role) {
    case Role::kUnassigned:
      return "unassigned";
    case Role::kSeed:
      return "seed";
    case Role::kCheckpoint:
      return "checkpoint";
    case Role::kKeep:
      return "keep";
    case Role::kCopy:
      return "copy";
  }
  return "";
}

Decision Decide(const Observation& observation, Time now) {
  return Deliberation(observation, now).Run();
}

std::string Describe(const Decision& decision, Time now) {
  std::string text;
  for (const Removal& removal : decision.remove) {
    text += fmt::format("remove {}: {}\n", removal.id, removal.reason);
  }
  for (const Removal& removal : decision.forget) {
    text += fmt::format("forget {}: {}\n", removal.id, removal.reason);
  }
  if (decision.leave_finish) text += "leave finish: all members are lost\n";
  switch (decision.start) {
    case Start::kNone:
      break;
    case Start::kSeed:
      text += "start from the seed\n";
      break;
    case Start::kCheckpoint:
      text += fmt::format("start from checkpoint {}\n", decision.checkpoint);
      break;
    case Start::kSurvivor:
      text += "start from what a survivor holds\n";
      break;
  }
  if (!decision.admit.empty()) {
    text += fmt::format("admit {}\n", fmt::join(decision.admit, " "));
  }
  for (const Assignment& assignment : decision.assign) {
    text += fmt::format("assign {} {}{}{}: {}\n", assignment.id, RoleName(assignment.role),
                        assignment.checkpoint.empty() ? "" : " ", assignment.checkpoint,
                        assignment.reason);
  }
  if (!decision.stop.empty()) text += fmt::format("stop {}\n", fmt::join(decision.stop, " "));
  if (text.empty()) text = "nothing to do\n";
  if (decision.next_check) {
    text += fmt::format("check again in {:.3f} s\n", ToSeconds(*decision.next_check - now));
  }
  return text;
}

}  // namespace grapevine::membership
