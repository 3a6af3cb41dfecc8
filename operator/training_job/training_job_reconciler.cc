#include "operator/training_job/training_job_reconciler.h"

#include <algorithm>
#include <utility>

#include "fmt/format.h"
#include "operator/api/validation.h"
#include "operator/base/log.h"
#include "operator/graph/invariants.h"
#include "operator/graph/mixing.h"
#include "operator/graph/planner.h"
#include "operator/training_job/adoption.h"
#include "operator/training_job/apply.h"
#include "operator/training_job/companions.h"
#include "operator/training_job/creation_pause.h"
#include "operator/training_job/disruption_tally.h"
#include "operator/training_job/graph_record.h"
#include "operator/training_job/job_status.h"
#include "operator/training_job/learning.h"
#include "operator/training_job/lost_nodes.h"
#include "operator/training_job/news.h"
#include "operator/training_job/worker_pod.h"

namespace grapevine::training_job {
namespace {

constexpr Duration kProgressWrites =
    2s;  // a status that differs by progress alone is written so often
constexpr Duration kGraphWrites = 1s;  // between two, whatever changes
// So often progress is recorded, and less often where the record is large.
constexpr Duration kRecords = 2s;
constexpr Duration kRecordsPerMember = 10ms;
// So many epochs and ids may a leader give out before it writes them down.
constexpr uint64_t kSetApart = 100;
constexpr Duration kNameWait = 1s;         // between two looks whether a pod's name is free again
constexpr Duration kCompanionsWait = 60s;  // until somebody has mended why they are refused
constexpr Duration kUnseenLimit = 5s;      // a pod that the cache does not show is then looked for

topology::JobKey KeyOf(const controller::Request& request) {
  return {request.name_space, request.name};
}

// Every graph goes to the members through here: the last look at it.
uint64_t ApplyChecked(topology::Hub& hub, const controller::Request& request,
                      const topology::Directives& directives, const graph::Invariants& invariants) {
  if (directives.publish) {
    const auto violations = graph::Violations(directives.publish->graph, invariants);
    for (const std::string& violation : violations) {
      LogError("a bug: the graph of job {} breaks a rule: {}", request.name, violation);
    }
    GRAPEVINE_CHECK(violations.empty());
  }
  return hub.Apply(KeyOf(request), directives);
}

std::string SpecForWorkers(const api::TrainingJobSpec& spec) {
  nlohmann::json whole = api::ToJson(spec);
  nlohmann::json seen;
  for (const char* field : {"algorithm", "training", "exchange", "checkpoint"}) {
    seen[field] = std::move(whole[field]);
  }
  seen["checkpoint"].erase("everySeconds");  // the hub asks for them
  return seen.dump();
}

bool DiffersByProgressAlone(api::TrainingJobStatus a, const api::TrainingJobStatus& b) {
  a.progress = b.progress;
  return a == b;
}

}  // namespace

struct TrainingJobReconciler::OwnWrites {
  struct Created {
    PodToCreate pod;
    Time at{};
  };
  std::string job_uid;
  std::map<std::string, Created> created;  // by name
  std::set<std::string> deleted;           // by uid
  DisruptionTally disruptions;
  CreationPause pause;
  std::string waits_for_name;             // as it was told; empty: it does not
  std::map<int32_t, int32_t> first_free;  // as in Observed
  std::optional<Companions> companions;
  std::optional<Time> companions_again;  // they were refused, and are tried again then
  std::string companions_refused;        // as it was told
  News news;
  std::optional<api::TrainingJobStatus> status;
  Time status_at{};
  bool graph_unwritten = false;  // published, but not in the CommunicationGraph yet
  double spectral_gap = 1;
  std::string graph_reason;
  size_t unreadable_told = 0;  // checkpoints, of the hub's
  int64_t recorded_samples = 0;
  Time recorded_at{};

  // The record of progress is behind, and it is time for another.
  bool RecordIsDue(const topology::Snapshot& hub, Time now) const {
    if (hub.samples_used_up && !hub.used_up_recorded) return true;
    const auto members = static_cast<int64_t>(hub.graph->size());
    return hub.samples != recorded_samples &&
           now - recorded_at >= std::max<Duration>(kRecords, kRecordsPerMember * members);
  }
};

TrainingJobReconciler::TrainingJobReconciler(const ReconcilerParts& parts,
                                             const WorkerLaunch& launch)
    : parts_(parts), launch_(launch) {}

TrainingJobReconciler::~TrainingJobReconciler() = default;

absl::StatusOr<controller::Result> TrainingJobReconciler::Reconcile(
    const controller::Request& request) {
  const controller::Object object = parts_.jobs->Get(request);
  if (!object || !api::MetadataOf(*object).deletion_timestamp.empty()) {
    parts_.hub->Forget(KeyOf(request), "the job was deleted");
    MutexLock lock(mutex_);
    own_writes_.erase(request);
    return controller::Result{};
  }
  auto job = api::TrainingJobFromJson(*object);
  if (!job.ok()) {
    const api::ParsedTrainingJob parsed = api::ParseTrainingJob(*object);
    if (!parsed.job.spec.managed_by.empty()) return controller::Result{};
    return Refuse(request, object, job.status());
  }
  if (!job->spec.managed_by.empty()) return controller::Result{};
  std::shared_ptr<OwnWrites> own = OwnWritesOf(request, job->metadata.uid);
  const absl::StatusOr<Observed> observed = Observe(request, *std::move(job), *own);
  if (!observed.ok()) return observed.status();
  Decision decision = Decide(*observed);
  return Carry(request, object, *observed, decision, *own);
}

// A job that an older schema let in. It fails, as one that has failed: for good.
absl::StatusOr<controller::Result> TrainingJobReconciler::Refuse(const controller::Request& request,
                                                                 const controller::Object& object,
                                                                 const absl::Status& why) {
  parts_.hub->Forget(KeyOf(request), "the job is invalid");
  absl::Status status;
  for (const controller::Object& pod : parts_.pods->OwnedBy(controller::UidOf(*object))) {
    const api::ObjectMeta metadata = api::MetadataOf(*pod);
    if (!metadata.deletion_timestamp.empty()) continue;
    status.Update(DeletePod(*parts_.client, metadata.name_space,
                            {.name = metadata.name, .uid = metadata.uid}));
  }
  const auto old = object->find("status");
  api::TrainingJobStatus next =
      old == object->end() ? api::TrainingJobStatus() : api::StatusFromJson(*old);
  if (!status.ok()) return status;
  if (IsOver(next)) return controller::Result{};
  const JobEvent event = FailAsInvalid(std::string(why.message()),
                                       api::MetadataOf(*object).generation, parts_.wall(), next);
  status = WriteStatus(*parts_.client, object, next);
  if (!status.ok()) return status;
  LogWarn("job {} is invalid: {}", request.name, event.note);
  if (parts_.on_event) parts_.on_event(request, event);
  return controller::Result{};
}

std::shared_ptr<TrainingJobReconciler::OwnWrites> TrainingJobReconciler::OwnWritesOf(
    const controller::Request& request, const std::string& uid) {
  MutexLock lock(mutex_);
  std::shared_ptr<OwnWrites>& own = own_writes_[request];
  if (!own || own->job_uid != uid) {
    own = std::make_shared<OwnWrites>();
    own->job_uid = uid;
  }
  return own;
}

void TrainingJobReconciler::ReadPods(const api::TrainingJob& job, OwnWrites& own,
                                     std::vector<WorkerPod>& pods) {
  std::set<std::string> read;  // one that was adopted a moment ago may be in the cache by now
  for (const WorkerPod& pod : pods) read.insert(pod.uid);
  for (const controller::Object& object : parts_.pods->OwnedBy(job.metadata.uid)) {
    std::optional<WorkerPod> pod = ReadWorkerPod(*object, job.metadata.uid);
    if (pod && read.insert(pod->uid).second) pods.push_back(*std::move(pod));
  }
  std::set<std::string> deleted;
  for (WorkerPod& pod : pods) {
    own.created.erase(pod.name);
    if (!own.deleted.contains(pod.uid)) continue;
    deleted.insert(pod.uid);
    if (pod.unended()) pod.state = WorkerPod::State::kTerminating;
  }
  own.deleted = std::move(deleted);
  const Time now = parts_.clock->Now();
  for (auto it = own.created.begin(); it != own.created.end();) {
    const bool look = now - it->second.at >= kUnseenLimit;
    if (look) it->second.at = now;
    // It may have come and gone without the cache being looked at.
    const bool gone =
        look &&
        absl::IsNotFound(parts_.client->Get(kPods, job.metadata.name_space, it->first).status());
    it = gone ? own.created.erase(it) : std::next(it);
  }
  for (const auto& [name, created] : own.created) {
    pods.push_back(
        {.name = name, .slot = created.pod.slot, .incarnation = created.pod.incarnation});
  }
  std::ranges::sort(pods, [](const WorkerPod& a, const WorkerPod& b) {
    return std::pair(a.slot, a.incarnation) < std::pair(b.slot, b.incarnation);
  });
}

void TrainingJobReconciler::JudgeNodesOf(std::vector<WorkerPod>& pods) {
  const controller::ObjectStore* nodes = parts_.nodes ? parts_.nodes() : nullptr;
  if (nodes == nullptr) return;
  JudgeNodes(pods, parts_.wall(), [&](const std::string& name) -> absl::StatusOr<nlohmann::json> {
    if (const controller::Object node = nodes->Get({"", name})) return *node;
    return parts_.client->Get(kNodes, "", name);  // it may be newer than the cache
  });
}

// Null for one that an earlier job of this name has left.
controller::Object TrainingJobReconciler::GraphOf(const controller::Request& request,
                                                  const api::TrainingJob& job) const {
  controller::Object graph = parts_.graphs->Get(request);
  return graph && controller::ControllerUidOf(*graph) == job.metadata.uid ? graph : nullptr;
}

absl::StatusOr<topology::JobRecord> TrainingJobReconciler::TakeOver(
    const controller::Request& request, const Observed& observed, OwnWrites& own) {
  const api::TrainingJob& job = observed.job;
  const bool pods_run = std::ranges::any_of(
      observed.pods, [](const WorkerPod& pod) { return pod.state == WorkerPod::State::kRunning; });
  auto found = parts_.client->Get(kCommunicationGraphs, request.name_space, request.name);
  controller::Object seen;
  if (found.ok() && controller::ControllerUidOf(*found) == own.job_uid) {
    seen = std::make_shared<const nlohmann::json>(*std::move(found));
  } else if (!found.ok() && !absl::IsNotFound(found.status())) {
    return found.status();
  }
  auto graph = seen ? api::CommunicationGraphFromJson(*seen) : api::CommunicationGraph();
  auto record = graph.ok() ? ToRecord(*graph) : graph.status();
  if (!record.ok()) {
    // Its workers would wait for ever; so they are told to begin again.
    LogError("the CommunicationGraph of {} cannot be read: {}", request.name,
             record.status().ToString());
    graph = api::CommunicationGraph();
    record = topology::JobRecord();
  }
  record->incomplete = record->members.empty() && pods_run;
  own.spectral_gap = graph->spectral_gap;
  own.graph_reason = graph->reason;
  own.recorded_samples = graph->progress ? graph->progress->samples : 0;
  if (IsOver(job.status)) return record;
  if (seen || pods_run) {
    graph->last_epoch = record->last_epoch += kSetApart;
    graph->last_member = record->last_member += kSetApart;
  }
  // Of a new job too, before it has anyone: should this leader die now, the next one knows of it.
  if (absl::Status status = WriteGraph(*parts_.client, job, *graph, seen); !status.ok()) {
    return status;
  }
  if (seen) own.recorded_at = parts_.clock->Now();
  return record;
}

absl::StatusOr<Observed> TrainingJobReconciler::Observe(const controller::Request& request,
                                                        api::TrainingJob job, OwnWrites& own) {
  Observed observed{.job = std::move(job)};
  observed.orphans = AdoptOrphans(*parts_.client, *parts_.pods, observed.job);
  observed.pods = observed.orphans.ours;
  ReadPods(observed.job, own, observed.pods);
  JudgeNodesOf(observed.pods);
  observed.disrupted = own.disruptions.Count(observed.pods, observed.job.status.workers.disrupted);
  if (const controller::Object graph = GraphOf(request, observed.job)) {
    auto parsed = api::CommunicationGraphFromJson(*graph);
    if (parsed.ok()) observed.graph = *std::move(parsed);
  }
  const topology::JobConfig config{.uid = observed.job.metadata.uid,
                                   .spec_json = SpecForWorkers(observed.job.spec),
                                   .batch_size = observed.job.spec.training.batch_size,
                                   .data_epochs = observed.job.spec.training.epochs,
                                   .guessing_loss = GuessingLoss(observed.job.spec.training)};
  topology::JobRecord before;
  if (!parts_.hub->Knows(KeyOf(request), config.uid)) {
    auto record = TakeOver(request, observed, own);
    if (!record.ok()) return record.status();
    before = *std::move(record);
  }
  parts_.hub->EnsureJob(KeyOf(request), config, before);
  observed.hub = parts_.hub->Observe(KeyOf(request));
  // After the snapshot: nobody's report is later than `now`.
  observed.now = parts_.clock->Now();
  observed.wall = parts_.wall();
  observed.refusal = own.pause.At(observed.job.metadata.generation, observed.now);
  observed.first_free = own.first_free;
  return observed;
}

absl::StatusOr<controller::Result> TrainingJobReconciler::Carry(const controller::Request& request,
                                                                const controller::Object& object,
                                                                const Observed& observed,
                                                                Decision& decision,
                                                                OwnWrites& own) {
  if (!decision.reason.empty()) LogInfo("job {}: {}", request.name, decision.reason);
  const auto& unreadable = observed.hub.unreadable;
  for (; own.unreadable_told < unreadable.size(); ++own.unreadable_told) {
    const auto& one = unreadable[own.unreadable_told];
    own.news.Add(
        {true, "CheckpointUnreadable",
         fmt::format("a checkpoint cannot be loaded, an older one is next: {}", one.reason)});
  }
  own.news.Note(observed, decision);
  PublishGraph(request, observed, decision, own);  // before all else: members wait for views
  absl::Status status = ChangePods(observed, decision, own);
  status.Update(WriteGraphIfNew(request, observed, decision, own));
  status.Update(MakeCompanionsIfNew(observed, decision, own));  // nobody waits for them
  if (absl::Status written = WriteStatusIfNew(object, observed, decision, own); written.ok()) {
    for (JobEvent& event : own.news.Take()) decision.events.push_back(std::move(event));
    for (const JobEvent& event : decision.events) {
      if (parts_.on_event) parts_.on_event(request, event);
    }
  } else {
    status.Update(written);
  }
  if (decision.delete_job) {
    status.Update(parts_.client->Delete(kTrainingJobs, request.name_space, request.name,
                                        {.uid = observed.job.metadata.uid}));
  }
  if (!status.ok()) return status;
  return controller::Result{decision.requeue_after};
}

void TrainingJobReconciler::PublishGraph(const controller::Request& request,
                                         const Observed& observed, Decision& decision,
                                         OwnWrites& own) {
  const auto& publish = decision.directives.publish;
  const graph::Policy policy{.family = graph::Family::kRandomRegular,
                             .degree = static_cast<size_t>(observed.job.spec.graph.degree)};
  const graph::Invariants invariants{.max_degree = decision.repair_graph ? policy.degree : 0};
  uint64_t epoch = ApplyChecked(*parts_.hub, request, decision.directives, invariants);
  decision.status.graph.spectral_gap = own.spectral_gap;
  if (!publish) return;
  graph::Graph graph = publish->graph;
  own.graph_unwritten = true;
  own.spectral_gap = graph::SpectralGap(graph);
  own.graph_reason = decision.reason;
  if (decision.repair_graph) {
    graph::Rng rng(epoch);
    if (auto repair = graph::Repair(graph, policy, rng); repair && !repair->plan.edits.empty()) {
      const graph::Edits& edits = repair->plan.edits;
      topology::Directives again;
      again.publish = topology::Publication{.graph = repair->plan.next,
                                            .changed = edits.changed,
                                            .noticed = observed.now,
                                            .edits = edits.edges()};
      epoch = ApplyChecked(*parts_.hub, request, again, invariants);
      own.spectral_gap = repair->gap_after;
      own.graph_reason = repair->plan.reason;
      decision.status.graph.edges = static_cast<int32_t>(repair->plan.next.edge_count());
    }
  }
  decision.status.graph.epoch = epoch;
  decision.status.graph.spectral_gap = own.spectral_gap;
}

absl::Status TrainingJobReconciler::ChangePods(const Observed& observed, Decision& decision,
                                               OwnWrites& own) {
  absl::Status status;
  std::vector<PodToDelete> gone;
  for (const PodToDelete& pod : decision.remove) {
    // One of ours that the cache does not show yet has no uid to name it by; the next decision
    // will.
    if (pod.uid.empty()) continue;
    LogInfo("pod {} is deleted: {}", pod.name, pod.reason);
    own.deleted.insert(pod.uid);
    absl::Status deleted = DeletePod(*parts_.client, observed.job.metadata.name_space, pod);
    if (deleted.ok()) {
      gone.push_back(pod);
    } else {
      own.deleted.erase(pod.uid);
    }
    status.Update(deleted);
  }
  const Time now = parts_.clock->Now();
  std::vector<std::string> made;
  auto [created_pods, strangers, created] =
      CreatePods(*parts_.client, observed.job, decision.create, launch_);
  for (const PodToCreate& pod : created_pods) {
    made.push_back(PodName(observed.job.metadata.name, pod));
    own.created[made.back()] = {pod, now};
  }
  for (const PodToCreate& pod : strangers) {
    own.first_free[pod.slot] = pod.incarnation + 1;
    own.news.Add({true, "NameTaken",
                  fmt::format("pod {} is not this job's: another name is taken instead",
                              PodName(observed.job.metadata.name, pod))});
    decision.requeue_after = 1ms;
  }
  own.news.NoteDeleted(gone);
  own.news.NoteCreated(made);
  const int64_t generation = observed.job.metadata.generation;
  if (own.pause.Begin(created, generation, now)) {
    const Refusal refusal = *own.pause.At(generation, now);
    LogWarn("pods of job {} are refused: {}", observed.job.metadata.name, refusal.message);
    own.news.Add({true, refusal.reason, refusal.message});
    decision.requeue_after = std::min(decision.requeue_after.value_or(refusal.left), refusal.left);
    created = absl::OkStatus();  // the rest of the job goes on
  } else if (absl::IsAborted(created)) {
    const std::string why(created.message());
    if (std::exchange(own.waits_for_name, why) != why) {
      own.news.Add({false, "NameTaken", why});
    }
    decision.requeue_after = std::min(decision.requeue_after.value_or(kNameWait), kNameWait);
    created = absl::OkStatus();
  } else if (created.ok()) {
    own.waits_for_name.clear();
  }
  status.Update(created);
  return status;
}

absl::Status TrainingJobReconciler::MakeCompanionsIfNew(const Observed& observed,
                                                        Decision& decision, OwnWrites& own) {
  if (!parts_.companions) return absl::OkStatus();
  Companions wanted = MakeCompanions(observed.job, IsOver(decision.status));
  const Time now = parts_.clock->Now();
  const bool again = own.companions_again && now >= *own.companions_again;
  if (own.companions == wanted && !again) return absl::OkStatus();
  absl::Status status = EnsureCompanions(*parts_.client, observed.job, wanted);
  own.companions_again.reset();
  if (status.ok()) own.companions_refused.clear();
  if (IsRefusal(status)) {
    own.companions_again = now + kCompanionsWait;
    const std::string why(status.message());
    if (std::exchange(own.companions_refused, why) != why) {
      LogWarn("job {} goes without: {}", observed.job.metadata.name, status.ToString());
      own.news.Add({true, "CompanionRefused", why});
    }
    status = absl::OkStatus();  // training does not need them
  }
  if (status.ok()) own.companions = std::move(wanted);
  return status;
}

absl::Status TrainingJobReconciler::WriteGraphIfNew(const controller::Request& request,
                                                    const Observed& observed, Decision& decision,
                                                    OwnWrites& own) {
  const Time now = parts_.clock->Now();
  if (!own.graph_unwritten && !own.RecordIsDue(observed.hub, now)) return absl::OkStatus();
  if (const Duration wait = own.recorded_at + kGraphWrites - now; wait > 0s) {
    decision.requeue_after = std::min(decision.requeue_after.value_or(wait), wait);
    return absl::OkStatus();
  }
  const topology::JobRecord record = parts_.hub->Record(KeyOf(request));
  api::CommunicationGraph graph = ToGraph(record);
  graph.spectral_gap = own.spectral_gap;
  graph.reason = own.graph_reason;
  std::map<api::MemberId, std::string> since;
  if (observed.graph) {
    for (const api::GraphMember& member : observed.graph->members) since[member.id] = member.since;
  }
  for (api::GraphMember& member : graph.members) {
    auto known = since.find(member.id);
    member.since = known == since.end() ? api::FormatWallTime(observed.wall) : known->second;
  }
  const bool fits = !graph.progress || graph.progress->done.size() <= kMostDoneRanges;
  if (!fits && observed.graph) graph.progress = observed.graph->progress;
  absl::Status status =
      WriteGraph(*parts_.client, observed.job, std::move(graph), GraphOf(request, observed.job));
  if (!status.ok()) return status;
  own.graph_unwritten = false;
  own.recorded_at = now;
  if (!fits) return status;
  own.recorded_samples = record.progress ? record.progress->samples : 0;
  if (parts_.hub->NoteRecorded(KeyOf(request))) decision.requeue_after = 1ms;  // time for finish
  return status;
}

absl::Status TrainingJobReconciler::WriteStatusIfNew(const controller::Object& object,
                                                     const Observed& observed,
                                                     const Decision& decision, OwnWrites& own) {
  const Time now = parts_.clock->Now();
  const api::TrainingJobStatus& last = own.status ? *own.status : observed.job.status;
  if (decision.status == last) return absl::OkStatus();
  if (own.status && now - own.status_at < kProgressWrites &&
      DiffersByProgressAlone(decision.status, last)) {
    return absl::OkStatus();
  }
  absl::Status status = WriteStatus(*parts_.client, object, decision.status);
  if (status.ok()) {
    own.status = decision.status;
    own.status_at = now;
  } else {
    // Somebody else wrote, or the cache is behind: judge by what it shows next time.
    own.status.reset();
  }
  return status;
}

}  // namespace grapevine::training_job
