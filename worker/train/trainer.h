#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "operator/api/exchange_histogram.h"
#include "worker/dataset/dataset.h"
#include "worker/nn/model.h"
#include "worker/optimizer/schedule.h"
#include "worker/optimizer/sgd.h"
#include "worker/store/parameter_store.h"
#include "worker/train/evaluation.h"
#include "worker/train/lease_queue.h"

namespace grapevine::train {

inline constexpr int kStalenessBuckets = 8;  // 0, 1, 2, 3-4, 5-8, 9-16, 17-32, more

// Totals since the start, and the latest of what is no total.
struct TrainerCounts {
  int64_t steps = 0;             // gradients applied
  int64_t skipped_steps = 0;     // not applied, since loss or gradient were not finite
  int64_t samples = 0;           // trained on, leased or not
  int64_t unleased_samples = 0;  // of these, drawn at random while the hub was away
  double loss = std::numeric_limits<double>::quiet_NaN();  // mean of the last steps
  double learning_rate = 0;
  double samples_per_second = 0;  // over the time spent in recent steps alone
  double trainer_seconds = 0;     // spent in steps
  double blocked_seconds = 0;     // of these, waiting for locks of the store
  double staleness_sum = 0;       // over steps
  std::array<uint64_t, kStalenessBuckets> staleness{};
  api::ExchangeBuckets step_seconds{};
};

struct TrainerOptions {
  int64_t batch_size = 32;  // the model's
  uint64_t seed = 1;        // the job's: of permutations and augmentation
  optimizer::SgdOptions sgd;
  optimizer::ScheduleOptions schedule;
  std::optional<double> max_gradient_norm;  // > 0; see ClipToNorm
  // Runs after each step, on the trainer thread.
  std::function<void()> on_step = [] {};
  // Training has come to nothing: many steps in a row were not finite. Called once, on the trainer
  // thread, which then pauses.
  std::function<void(absl::Status)> on_failure = [](absl::Status) {};
};

// What there is left to do once Finalize has made the weights final.
struct Finalized {
  int64_t test_samples = 0;
  // What this member alone needs to evaluate them all, at the pace of its steps; 0 before the
  // first.
  double evaluation_seconds = 0;
};

// The trainer thread, with the prefetch thread beside it: takes batches from the lease queue, reads
// the weights, computes a gradient and hands it to the algorithm, of which it knows nothing more.
// Between two steps it does the other jobs that need the model, so that there is one model and one
// user of the cores.
//
// Starts paused. Owns both threads; borrows the rest, which must outlive it. The model is its own
// between Start and Stop. No callback may call Pause or Stop. Thread-safe.
class Trainer {
 public:
  Trainer(TrainerOptions options, nn::Model& model, const dataset::Dataset& dataset,
          store::ParameterStore& store, LeaseQueue& leases);
  ~Trainer();  // stops first
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  void Start();

  // Stops the lease queue, lets the step under way end, and joins both threads; hand leases back
  // first. Jobs not done are answered Cancelled. Idempotent.
  void Stop();

  // No step is under way when Pause returns and none begins before Resume: the store may be
  // overwritten. What SetProgress said of data epochs is forgotten; the roster's size stays.
  void Pause();
  void Resume();

  // Where the job is: the size of its roster (1 until told), and the data epochs done by all
  // members together (0 until told). The learning rate follows them. Until it is told again the
  // trainer takes the others to be as fast as itself, and it never goes back between two pauses.
  void SetProgress(uint32_t members, double data_epochs);

  // Evaluates the weights in the store over the test set. `done` is called on the trainer thread.
  void Evaluate(std::function<void(absl::StatusOr<Evaluation>)> done);

  // Re-estimates the normalisation statistics in the store. Nobody may mix into it meanwhile. As
  // Evaluate, it is never under way together with a step.
  void Finalize(std::function<void(absl::StatusOr<Finalized>)> done);

  // Evaluates `weights`, of the model's layout, over one slice of the test set; null: those in the
  // store.
  void EvaluateSlice(std::shared_ptr<const store::ParameterStore> weights, const Slice& slice,
                     std::function<void(absl::StatusOr<SliceSums>)> done);

  TrainerCounts counts() const;

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace grapevine::train
