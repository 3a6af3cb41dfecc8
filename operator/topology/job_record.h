#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "operator/api/member.h"
#include "operator/graph/graph.h"
#include "operator/progress/leases.h"

namespace grapevine::topology {

// What a leader leaves of a job to the next one, and how nothing is lost or counted twice between.
//
// The record is written to the CommunicationGraph after each change of the graph, and for the sake
// of progress now and then; whatever happens between the last write and the end of the leader is
// not in it. That is what members tell: their view, and their leases with what they did of them.
//
//   members, graph  The roster is the record's: nobody has to begin again, and none is empty just
//     because its leader is new. Who does not register within kSilence of the first one is lost.
//     Whoever shows a view newer than the record was admitted after it and is a member too. Until
//     all that are known of are back or lost, there is no new graph.
//   epoch, ids      The next ones are above last_epoch and last_member, and above all that a member
//     shows. Whoever takes over sets some apart by writing these first: its predecessor may have
//     given some in the last moment, or while the record could not be written, to those who are
//     lost too. If a member's epoch is newer than the record, the graph is not known to the last
//     change, and the next epoch goes to all.
//   progress        A batch is done if the record says so, or a member that claims its lease. So no
//     report that is not on record may be forgotten by who made it: a member keeps finished leases
//     until the hub says that a record was written after their report (Progress.recorded_report).
//     Grants wait as the graph does, so that what they hold is not free meanwhile.
//     Two may claim the same batches, where an earlier leader took them from one that was not told;
//     then whoever comes first has them (see progress::Ledger::Adopt): counted once either way.
//     Only what a member did that is lost together with the leader, before either wrote it down, is
//     done again, as with any member that is lost before it reports.
//   the end         `finish` is sent once the record says that the samples are used up, so that no
//     later leader finds some of them left while members have stopped training.
//
// It is small: done batches are ranges, about as many as there are leases out.
struct JobRecord {
  struct Member {
    api::MemberId id = 0;
    std::string pod;
    std::string address;
  };

  uint64_t epoch = 0;       // of `graph`
  uint64_t last_epoch = 0;  // the highest that may have been given so far
  api::MemberId last_member = 0;
  std::vector<Member> members;  // those of `graph`
  graph::Graph graph;
  std::optional<progress::Progress> progress;  // nullopt before the size of the data is known
  bool incomplete =
      false;  // it has no members, yet pods run: some may have been told that they are
};

}  // namespace grapevine::topology
