#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "operator/api/member.h"
#include "operator/api/object_meta.h"

namespace grapevine::api {

enum class Side { kActive, kPassive };

struct GraphMember {
  MemberId id = 0;
  std::string pod;
  std::string address;  // host:port
  Side side = Side::kPassive;
  std::string since;  // RFC 3339

  bool operator==(const GraphMember&) const = default;
};

// Batches [first, end) of the permutation of one data epoch.
struct DoneBatches {
  int64_t data_epoch = 0;
  int64_t first = 0;
  int64_t end = 0;

  bool operator==(const DoneBatches&) const = default;
};

// How far the job was when this was written; for a new leader.
struct GraphProgress {
  int64_t samples = 0;
  int64_t data_epoch = 0;         // all before it are wholly done
  std::vector<DoneBatches> done;  // of this one and later ones

  bool operator==(const GraphProgress&) const = default;
};

// The CommunicationGraph resource, owned by the job of the same name: how people and a new leader
// see the graph. It has a status alone. Workers get their views from the stream, never from here.
struct CommunicationGraph {
  ObjectMeta metadata;
  uint64_t epoch = 0;
  // The highest that may have been given so far: a leader that takes over sets some apart here
  // before it gives any. At least `epoch` and the highest id of `members`.
  uint64_t last_epoch = 0;
  MemberId last_member = 0;
  std::vector<GraphMember> members;
  std::vector<std::pair<MemberId, MemberId>> edges;  // active first
  double spectral_gap = 0;
  std::string reason;  // of the last change
  std::optional<GraphProgress> progress;

  bool operator==(const CommunicationGraph&) const = default;
};

nlohmann::json ToJson(const CommunicationGraph& graph);

// InvalidArgument when it is malformed or an edge names a member that is not listed: a new leader
// must not go on from half a graph.
absl::StatusOr<CommunicationGraph> CommunicationGraphFromJson(const nlohmann::json& object);

}  // namespace grapevine::api
