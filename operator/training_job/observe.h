#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"
#include "operator/api/communication_graph.h"
#include "operator/api/member.h"
#include "operator/api/training_job.h"
#include "operator/base/clock.h"
#include "operator/topology/snapshot.h"
#include "operator/training_job/node_patience.h"

namespace grapevine::training_job {

using api::MemberId;

// Why a pod does not start, in the cluster's words.
struct Hindrance {
  std::string reason;  // ImagePullBackOff, Unschedulable...; empty: it may start
  std::string message;

  bool operator==(const Hindrance&) const = default;
};

// The API server refuses the job's pods; none is made for a while: see CreationPause.
struct Refusal {
  std::string reason;  // QuotaExceeded | PodRefused
  std::string message;
  Duration left{};
};

// A worker pod as the policies need it.
struct WorkerPod {
  enum class State : uint8_t {
    kPending,  // created, or not started yet
    kRunning,
    kTerminating,  // has a deletionTimestamp, or the operator has just deleted it
    kSucceeded,
    kFailed,
  };
  // Of its node, for this pod: see lost_nodes.h.
  enum class Loss : uint8_t {
    kNone,
    kUnreachable,  // its kubelet may come back and hear of a deletion
    kGone,
  };

  std::string name;
  std::string uid;  // empty: created by us a moment ago, the cache does not show it yet
  int32_t slot = 0;
  int32_t incarnation = 0;
  State state = State::kPending;
  bool assigned = false;  // to a node
  bool ready = false;
  bool disrupted = false;  // the cluster took it: DisruptionTarget, or evicted, or its node is lost
  int64_t deletion_cost = 0;
  std::string created;  // RFC 3339
  std::string template_hash;
  std::string finished;  // RFC 3339; empty until then, and when nothing tells
  // Why it ended, in words, without what differs from one pod to the next (times, members): "exit
  // code 1: loss not finite". Empty until then, and for one that succeeded.
  std::string cause;

  Hindrance hindrance;  // of one that is pending
  std::string node;     // empty: none yet
  NodePatience patience;
  Loss loss = Loss::kNone;
  std::optional<Duration> lost_in;  // from now, unless its node comes back

  // Neither finished nor being deleted, nor lost.
  bool active() const { return loss == Loss::kNone && unended(); }
  bool lost() const { return loss != Loss::kNone && unended(); }
  bool unended() const { return state == State::kPending || state == State::kRunning; }
  bool finished_by_itself() const { return state == State::kSucceeded || state == State::kFailed; }
};

// Pods with the job's label that nobody controls: see adoption.h.
struct Orphans {
  struct Refused {
    std::string pod;
    std::string uid;
    std::string why;  // "not its uid"
  };
  std::vector<std::string> adopted;  // just now, by name
  std::vector<WorkerPod> ours;       // the job's, though the cache does not show it yet
  std::vector<Refused> refused;
};

// All that a decision may know. Plain values, read anew for each decision.
struct Observed {
  api::TrainingJob job;
  std::vector<WorkerPod> pods;  // the job's own, by slot and incarnation
  std::optional<api::CommunicationGraph> graph;
  int32_t disrupted = 0;  // pods that the cluster took, so far: see DisruptionTally
  std::optional<Refusal> refusal;
  // By slot, the lowest incarnation that may be made: strangers' pods have the names below it.
  std::map<int32_t, int32_t> first_free;
  Orphans orphans;
  topology::Snapshot hub;
  Time now{};
  api::WallTime wall{};
};

// Reads a pod object. nullopt when it is not one of the job's with this uid (by its controller
// reference), or its labels do not parse.
std::optional<WorkerPod> ReadWorkerPod(const nlohmann::json& pod, const std::string& job_uid);

// Takes off a pod what ReadWorkerPod does not read, so that a cache of many is small.
void TrimWorkerPod(nlohmann::json& pod);

}  // namespace grapevine::training_job
