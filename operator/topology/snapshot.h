#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "operator/graph/graph.h"
#include "operator/membership/roster.h"

namespace grapevine::topology {

using api::MemberId;

// One registrant as the rules need it.
struct RegistrantView {
  membership::Registrant rules;
  std::string pod_uid;
  std::string address;
  bool connected = false;
  bool settled = false;  // said since Finish that it agrees with its neighbours
  bool awaited = false;  // an earlier leader's member that has not come back yet
};

// Something that one member was asked for and has not answered.
struct Pending {
  MemberId member = 0;
  Time since{};
};

// All that `decide` may know of a job from its members, as of one moment. Immutable.
struct Snapshot {
  bool known = false;  // EnsureJob was called
  // Members, and those who wait and have built their model; ascending ids. Times in `rules` forgive
  // the pauses of the hub itself: nobody is late because the operator did not run.
  std::vector<RegistrantView> registrants;
  std::vector<RegistrantView> departed;       // have left the roster, and their streams are open
  std::shared_ptr<const graph::Graph> graph;  // never null
  uint64_t epoch = 0;
  // Members have views of this epoch that an earlier hub published and that are not known here: the
  // next graph is for all of them.
  bool views_unknown = false;
  // Set if an earlier leader may have had members: see job_record.h.
  std::optional<Time> taken_over_at;
  bool record_is_old = false;  // its record lacks epochs, so perhaps members
  std::string checkpoint;      // the newest complete one that the hub knows of; empty for none

  // Given up since the hub began, in that order: whoever was told to load it could not.
  struct Unreadable {
    std::string checkpoint;
    std::string reason;
  };
  std::vector<Unreadable> unreadable;

  // A worker that can never take part said so: its reason and message.
  struct Unfit {
    std::string pod;
    std::string reason;
    std::string message;
  };
  std::optional<Unfit> unfit;

  int64_t samples = 0;
  int64_t samples_total = 0;     // 0 until a worker said how large the training set is
  int64_t data_epochs_done = 0;  // whole ones, whichever data epoch the samples are of
  bool samples_used_up = false;
  bool used_up_recorded = false;  // a record that says so was written
  double samples_per_second = 0;
  std::optional<int64_t> guessing_since;  // see LossWatch
  double fraction = 0;
  double data_epochs = 0;

  // End of training.
  std::optional<Time> finish_since;
  bool idle = false;  // exchanges have stopped
  std::optional<Pending> finalize;
  struct Final {
    double loss = 0;
    double accuracy = 0;
    int64_t samples = 0;  // of the test set, that it was evaluated over
    std::string checkpoint;
    std::string error;  // empty when all was done
  };
  std::optional<Final> final_result;
  bool settled = false;         // what Directives::settled said last
  int32_t finalize_errors = 0;  // so far, an answer that did not come too; final_result: the last

  // Evaluation while training.
  std::optional<Pending> evaluation;
  std::optional<Time> evaluated_at;   // the last answer, or loss of who was asked
  Duration evaluation_took{};         // the last one, or more if one was given up on since
  int64_t evaluated_data_epochs = 0;  // done when it was asked for
  MemberId evaluated_by = 0;          // the turn goes to the next id

  // Checkpoints while training.
  std::optional<Pending> checkpoint_write;
  std::optional<Time> checkpointed_at;  // the last one that is whole
  std::optional<Time> checkpoint_tried_at;
  std::string checkpoint_error;        // of the last answer; empty when it was written
  std::optional<Time> training_since;  // the first member was admitted
  std::optional<Time> leases_stopped_since;
  bool leases_out = false;
  bool stopped = false;
};

}  // namespace grapevine::topology
