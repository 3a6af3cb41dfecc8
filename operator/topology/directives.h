#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "operator/graph/graph.h"
#include "operator/membership/roster.h"

namespace grapevine::topology {

using api::MemberId;

// A new graph, and with it a new roster and the next epoch. Views go to `changed` alone.
struct Publication {
  graph::Graph graph;
  std::vector<MemberId> changed;
  std::vector<membership::Removal> removed;
  std::vector<MemberId> lost;  // of `removed`, those that left unasked
  Time noticed{};              // when the rules found the change
  size_t edits = 0;            // edges added, and removed between members that stay
};

// What the reconciler tells the hub to do. Everything is optional and an empty one does nothing;
// the fields are carried out in the order in which they stand here.
struct Directives {
  // An empty roster begins again: progress becomes zero, the checkpoint's, or stays. The hub knows
  // the checkpoint's progress from whoever reported it.
  membership::Start start = membership::Start::kNone;
  std::string start_checkpoint;
  bool leave_finish = false;

  std::optional<Publication> publish;
  std::vector<membership::Removal> forget;     // registrants that are no members: their streams end
  std::vector<membership::Assignment> assign;  // Start to those who wait
  std::vector<MemberId> stop_members;          // Stop to those to whom the job has nothing to offer

  std::optional<bool>
      grant_leases;  // false: Degraded, suspended or ending; reports count as always

  bool finish = false;          // to all members; repeats are ignored
  bool idle = false;            // to all members: exchanges stop; repeats are ignored
  std::optional<bool> settled;  // for the report: the models met before the limit of finish
  struct ToMember {
    MemberId member = 0;
    std::string path;  // of the checkpoint to write; empty for none
  };
  std::optional<ToMember> finalize;
  std::optional<MemberId> evaluate;
  std::optional<ToMember> write_checkpoint;
  std::optional<std::string> stop;  // to everyone, with this reason; nobody is let in afterwards
};

}  // namespace grapevine::topology
