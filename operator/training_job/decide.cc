#include "operator/training_job/decide.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <string_view>

#include "fmt/format.h"
#include "operator/graph/planner.h"
#include "operator/membership/roster.h"
#include "operator/training_job/completion.h"
#include "operator/training_job/elasticity.h"
#include "operator/training_job/failure_policy.h"
#include "operator/training_job/job_status.h"
#include "operator/training_job/upkeep.h"

namespace grapevine::training_job {
namespace {

constexpr Duration kRefresh = 2s;        // of the status, while members train
constexpr Duration kReturning = 100ms;   // between looks at who has come back to a new leader
constexpr Duration kStopGrace = 10s;     // from Stop to deletion, at the end
constexpr Duration kEndWritten = 100ms;  // until the cache shows the end as it was written

void LookAgain(Decision& decision, std::optional<Duration> after) {
  if (!after) return;
  const Duration wait = std::max<Duration>(*after, 1ms);
  if (!decision.requeue_after || wait < *decision.requeue_after) decision.requeue_after = wait;
}

// A pod that was made anew under an old one's name is not the one that the registrant ran in.
std::string PodKey(const std::string& name, const std::string& uid,
                   const std::map<std::string, std::string>& uids) {
  auto now = uids.find(name);
  const bool other =
      now != uids.end() && !uid.empty() && !now->second.empty() && now->second != uid;
  return other ? name + "/" + uid : name;
}

membership::PodState StateOf(const WorkerPod& pod) {
  if (pod.state == WorkerPod::State::kTerminating) return membership::PodState::kTerminating;
  if (pod.disrupted) return membership::PodState::kDisrupted;
  return pod.finished_by_itself() ? membership::PodState::kFinished
                                  : membership::PodState::kRunning;
}

membership::Decision DecideRoster(const Observed& observed) {
  membership::Observation observation;
  std::map<std::string, std::string> uids;
  for (const WorkerPod& pod : observed.pods) {
    observation.pods.push_back({pod.name, StateOf(pod)});
    uids[pod.name] = pod.uid;
  }
  for (const topology::RegistrantView& view : observed.hub.registrants) {
    membership::Registrant& registrant = observation.registrants.emplace_back(view.rules);
    registrant.pod = PodKey(registrant.pod, view.pod_uid, uids);
  }
  observation.checkpoint = observed.hub.checkpoint;
  observation.finishing = observed.hub.finish_since.has_value();
  return membership::Decide(observation, observed.now);
}

graph::Policy PolicyOf(const api::GraphSpec& spec) {
  return {.family = graph::ParseFamily(api::ToString(spec.policy)).value_or(graph::Family::kAuto),
          .degree = static_cast<size_t>(spec.degree)};
}

uint64_t SeedOf(const std::string& uid, uint64_t epoch) {
  uint64_t hash = 0xcbf29ce484222325 ^ epoch;
  for (const char c : uid) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

// Gone unasked: neither did the member say so, nor did anybody delete or evict its pod.
std::vector<MemberId> LostOnes(const Observed& observed,
                               const std::vector<membership::Removal>& removed) {
  std::map<std::string_view, const WorkerPod*> pods;
  for (const WorkerPod& pod : observed.pods) pods[pod.name] = &pod;
  std::set<MemberId> in_order;
  for (const topology::RegistrantView& view : observed.hub.registrants) {
    auto pod = pods.find(view.rules.pod);
    const bool deleted =
        pod == pods.end() || pod->second->state == WorkerPod::State::kTerminating ||
        pod->second->state == WorkerPod::State::kSucceeded || pod->second->disrupted;
    if (view.rules.leaving || deleted) in_order.insert(view.rules.id);
  }
  std::vector<MemberId> lost;
  for (const membership::Removal& removal : removed) {
    if (!in_order.contains(removal.id)) lost.push_back(removal.id);
  }
  return lost;
}

// Plans the roster's graph and publishes what is new. Returns the graph in force afterwards.
graph::Graph DecideGraph(const Observed& observed, const membership::Decision& roster,
                         Decision& decision) {
  std::set<MemberId> members;
  for (const topology::RegistrantView& view : observed.hub.registrants) {
    if (view.rules.member) members.insert(view.rules.id);
  }
  for (const membership::Removal& removal : roster.remove) members.erase(removal.id);
  members.insert(roster.admit.begin(), roster.admit.end());
  graph::Rng rng(SeedOf(observed.job.metadata.uid, observed.hub.epoch));
  graph::PlanResult plan =
      graph::Plan(*observed.hub.graph, std::vector<MemberId>(members.begin(), members.end()),
                  PolicyOf(observed.job.spec.graph), rng);
  const bool anew = observed.hub.views_unknown && !members.empty();
  if (plan.edits.empty() && !anew) return plan.next;
  decision.reason = plan.edits.empty() ? "members have views of an earlier leader" : plan.reason;
  decision.repair_graph = plan.family == graph::Family::kRandomRegular;
  if (anew) plan.edits.changed.assign(members.begin(), members.end());
  decision.directives.publish = topology::Publication{.graph = plan.next,
                                                      .changed = std::move(plan.edits.changed),
                                                      .removed = roster.remove,
                                                      .lost = LostOnes(observed, roster.remove),
                                                      .noticed = observed.now,
                                                      .edits = plan.edits.edges()};
  return plan.next;
}

// Members of an earlier leader may still come to this one, and tell it of epochs and leases: those
// on record until they are late, unless their pods are gone; others, where there are any, for as
// long.
bool MembersMayReturn(const Observed& observed) {
  const topology::Snapshot& hub = observed.hub;
  if (!hub.taken_over_at) return false;
  if (hub.record_is_old && observed.now - *hub.taken_over_at < membership::kSilence) return true;
  std::set<std::string_view> running;
  for (const WorkerPod& pod : observed.pods) {
    if (StateOf(pod) == membership::PodState::kRunning) running.insert(pod.name);
  }
  for (const topology::RegistrantView& view : hub.registrants) {
    if (!view.awaited) running.erase(view.rules.pod);  // it is there, perhaps as another
  }
  return std::ranges::any_of(hub.registrants, [&](const topology::RegistrantView& view) {
    return view.awaited && running.contains(view.rules.pod) &&
           observed.now - view.rules.last_report < membership::kSilence;
  });
}

// Whoever left because its pod was about to go, and whose pod stays after all, registers anew once
// its stream has ended.
void ForgetReprieved(const Observed& observed, std::vector<membership::Removal>& forget) {
  for (const topology::RegistrantView& view : observed.hub.departed) {
    if (!view.connected || view.rules.leaving) continue;
    const bool came_anew = std::ranges::any_of(
        observed.hub.registrants,
        [&](const topology::RegistrantView& other) { return other.rules.pod == view.rules.pod; });
    const bool stays = std::ranges::any_of(observed.pods, [&](const WorkerPod& pod) {
      return pod.name == view.rules.pod && (view.pod_uid.empty() || pod.uid == view.pod_uid) &&
             StateOf(pod) == membership::PodState::kRunning;
    });
    if (stays && !came_anew) forget.push_back({view.rules.id, "its pod stays after all"});
  }
}

void DecideMembers(const Observed& observed, Standing& standing, Decision& decision) {
  if (MembersMayReturn(observed)) {
    standing.returning = true;
    return LookAgain(decision, kReturning);
  }
  membership::Decision roster = DecideRoster(observed);
  const graph::Graph graph = DecideGraph(observed, roster, decision);
  topology::Directives& directives = decision.directives;
  directives.start = roster.start;
  directives.start_checkpoint = roster.checkpoint;
  directives.leave_finish = roster.leave_finish;
  directives.forget = std::move(roster.forget);
  ForgetReprieved(observed, directives.forget);
  directives.assign = std::move(roster.assign);
  directives.stop_members = std::move(roster.stop);
  standing.members = graph.size();
  standing.edges = graph.edge_count();
  standing.epoch = observed.hub.epoch + (directives.publish ? 1 : 0);
  // Whoever left may have been asked for something, which the next decision asks of another.
  if (!roster.remove.empty()) LookAgain(decision, 0s);
  if (roster.next_check) LookAgain(decision, *roster.next_check - observed.now);
}

// Deleted they go when their node comes back, or with it; nobody waits for either.
void DecideLostPods(const Observed& observed, Decision& decision) {
  for (const WorkerPod& pod : observed.pods) {
    LookAgain(decision, pod.lost_in);
    if (!pod.lost()) continue;
    const bool gone = pod.loss == WorkerPod::Loss::kGone;
    decision.remove.push_back(
        {.name = pod.name,
         .uid = pod.uid,
         .reason = fmt::format("its node {} {}", pod.node, gone ? "is gone" : "does not answer"),
         .at_once = gone});
  }
}

void DecidePods(const Observed& observed, const Failures& failures, Decision& decision) {
  const api::TrainingJobSpec& spec = observed.job.spec;
  size_t desired = static_cast<size_t>(spec.workers.replicas);
  const bool winding_up = (observed.hub.finish_since && !decision.directives.leave_finish) ||
                          decision.directives.finish || StopRequested(observed);
  if (spec.suspend) {
    if (!ReadyToSuspend(observed, decision.directives)) {
      LookAgain(decision, kRefresh);
      return;
    }
    desired = 0;
  } else if (winding_up) {
    return;  // no pod is made for a job that ends, and nobody it has is sent away
  }
  PodChanges changes = Scale(observed, desired);
  for (PodToDelete& pod : changes.remove) decision.remove.push_back(std::move(pod));
  if (observed.refusal && !changes.create.empty()) {
    LookAgain(decision, observed.refusal->left);
    changes.create.clear();
  }
  for (const PodToCreate& pod : changes.create) {
    const auto wait = failures.waits.find(pod.slot);
    if (wait == failures.waits.end()) {
      decision.create.push_back(pod);
    } else {
      LookAgain(decision, wait->second);
    }
  }
  if (decision.create.empty() && decision.remove.empty() && !spec.suspend) {
    decision.remove = NextToRenew(observed, TemplateHash(spec));
  }
}

// After the end: whoever trains was told to stop; who does not go by himself is deleted, and in the
// end the job too.
Decision CleanUp(const Observed& observed) {
  Decision decision{.status = observed.job.status};
  CountPods(observed, decision.status.workers);
  DecideLostPods(observed, decision);
  if (!observed.hub.stopped) {
    decision.directives.stop = api::IsTrue(observed.job.status.conditions, api::kSucceeded)
                                   ? "the job has succeeded"
                                   : "the job has failed";
  }
  const auto completed = api::ParseWallTime(observed.job.status.completion_time);
  const Duration since = completed ? Duration(observed.wall - *completed) : Duration(kStopGrace);
  for (const WorkerPod& pod : observed.pods) {
    if (!pod.active()) continue;
    // One that was told, and whose stream has ended since, is on its way out: its logs are to stay.
    if (since >= kStopGrace || pod.state == WorkerPod::State::kPending) {
      decision.remove.push_back({pod.name, pod.uid, "the job is over"});
    } else {
      LookAgain(decision, kStopGrace - since);
    }
  }
  if (const auto ttl = observed.job.spec.ttl_seconds_after_finished) {
    const Duration left = std::chrono::seconds(*ttl) - since;
    decision.delete_job = left <= 0s;
    if (!decision.delete_job) LookAgain(decision, left);
  }
  return decision;
}

void DecideEnd(const Standing& standing, Decision& decision) {
  // The views of the last moment matter to nobody; what matters is that no second decision follows.
  decision.directives = {};
  decision.directives.grant_leases = false;
  decision.reason = fmt::format("{}: {}", standing.ending->reason, standing.ending->message);
  // Nobody is told to stop before the end is written: whoever takes over in between would find
  // pods that have ended and a job that has not, and begin again.
  LookAgain(decision, kEndWritten);
}

}  // namespace

Decision Decide(const Observed& observed) {
  if (IsOver(observed.job.status)) return CleanUp(observed);
  Decision decision{.status = observed.job.status};
  Standing standing{.members = observed.hub.graph->size(),
                    .edges = observed.hub.graph->edge_count(),
                    .epoch = observed.hub.epoch,
                    .failures = JudgeFailures(observed)};
  standing.ending = JudgeEnding(observed, standing.failures);
  if (standing.ending) {
    DecideEnd(standing, decision);
    FillStatus(observed, standing, decision);
    return decision;
  }
  const api::TrainingJobSpec& spec = observed.job.spec;
  DecideMembers(observed, standing, decision);
  if (!decision.directives.leave_finish) LookAgain(decision, WindUp(observed, decision.directives));
  const bool enough = standing.members >= static_cast<size_t>(spec.workers.min_replicas);
  const bool training = !observed.hub.finish_since || decision.directives.leave_finish;
  decision.directives.grant_leases = enough && training && !decision.directives.finish &&
                                     !spec.suspend && !StopRequested(observed) &&
                                     !standing.returning;
  LookAgain(decision, Maintain(observed, decision.directives));
  DecideLostPods(observed, decision);
  DecidePods(observed, standing.failures, decision);
  if (spec.active_deadline_seconds || standing.members > 0) LookAgain(decision, kRefresh);
  standing.suspended = spec.suspend && standing.members == 0;
  FillStatus(observed, standing, decision);
  return decision;
}

}  // namespace grapevine::training_job
