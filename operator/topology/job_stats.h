#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "operator/api/exchange_histogram.h"
#include "operator/api/member.h"
#include "operator/base/clock.h"
#include "operator/graph/graph.h"
#include "operator/topology/histogram.h"

namespace grapevine::topology {

using api::MemberId;

// What the console, the report and the metrics show of a job: plain values, read at one moment.

// One member's totals since it registered; gauges are its last report's.
struct MemberStats {
  MemberId id = 0;
  std::string pod;
  graph::Side side = graph::Side::kActive;
  bool alive = false;  // in the roster now
  int64_t steps = 0;
  int64_t samples = 0;
  double samples_per_second = 0;
  double loss = 0;  // NaN before the first step
  double mean_staleness_steps = 0;
  double trainer_seconds = 0;
  double blocked_seconds = 0;  // of these, waiting for the store or for gossip
  double copy_seconds = 0;     // a joiner's copy of its donor's state; 0 for others
  int64_t exchanges = 0;       // completed ones, begun by either side
  int64_t bytes_sent = 0;
  int64_t bytes_received = 0;
};

// Over all members ever admitted; each exchange is counted once, where it was begun.
struct ExchangeTotals {
  int64_t completed = 0;
  int64_t busy = 0;
  int64_t refused = 0;
  int64_t timed_out = 0;
  int64_t torn = 0;
  api::ExchangeBuckets seconds{};
  double seconds_max = 0;
};

// A change of the roster: when the rules found it, and when the last of the new views was handed to
// its stream.
struct RosterChange {
  MemberId member = 0;
  std::string pod;
  bool joined = false;  // else it left
  bool lost = false;    // it left unasked: stream broken, silent, or its process ended
  std::string reason;
  Time noticed{};
  Time published{};
};

struct Evaluation {
  MemberId member = 0;
  double data_epochs = 0;  // when it was asked for
  double loss = 0;
  double accuracy = 0;  // a fraction
  int64_t samples = 0;  // of the test set, that it was evaluated over
  Time at{};
};

inline constexpr double kEditsBounds[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000};
inline constexpr double kPublishBounds[] = {1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1, 3};

enum class Stage : uint8_t {
  kWaiting,  // the roster is empty
  kTraining,
  kFinishing,   // gradients have stopped, the models meet
  kFinalizing,  // one member writes the last checkpoint, which is evaluated
  kDone,
};
std::string_view StageName(Stage stage);  // "waiting", "training", ...

struct JobStats {
  Stage stage = Stage::kWaiting;
  std::vector<MemberStats> members;  // all ever admitted, by ascending id
  int64_t joined = 0;                // ever admitted, first ones too
  int64_t left = 0;                  // of these, gone in order
  int64_t lost = 0;                  // of these, gone unasked
  ExchangeTotals exchanges;
  std::optional<double> exchanges_per_second;  // completed ones, lately; nullopt until known

  uint64_t graph_epoch = 0;
  int64_t graph_changes = 0;  // epochs published
  size_t graph_members = 0;
  size_t graph_edges = 0;
  // One value an epoch: Publication.edits, and the time from noticed to published.
  Histogram graph_edits{kEditsBounds};
  Histogram publish_seconds{kPublishBounds};
  std::vector<RosterChange> changes;  // the last kMaxChanges, oldest first

  int64_t samples = 0;         // done, each counted once
  int64_t samples_before = 0;  // of these, done when the first roster began
  int64_t samples_total = 0;
  double data_epochs = 0;                    // samples over the size of the training set
  double fraction = 0;                       // of the job, 0 to 1
  std::optional<double> samples_per_second;  // lately; nullopt until known
  std::optional<double> remaining_seconds;   // nullopt while the rate is unknown or 0
  // Mean over the members; NaN before the first step.
  double loss = std::numeric_limits<double>::quiet_NaN();
  std::optional<double> consensus_distance;  // estimate of sqrt(mean ||x_i - mean x||^2)
  std::vector<Evaluation> evaluations;       // oldest first, the last kMaxEvaluations
  std::optional<Evaluation> result;          // of Finalize
  std::string final_checkpoint;
  bool settled = false;  // the models met before the limit of finish

  static constexpr size_t kMaxChanges = 256;
  static constexpr size_t kMaxEvaluations = 1024;
};

}  // namespace grapevine::topology
