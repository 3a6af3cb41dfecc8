#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include "operator/base/mutex.h"
#include "worker/dataset/dataset.h"
#include "worker/dataset/draw.h"

namespace grapevine::dataset {

// A batch ready to train on, augmented.
struct PreparedBatch {
  Draw draw;
  int64_t samples = 0;
  std::vector<float> images;    // samples x shape, in the front of a buffer for a whole batch
  std::vector<int32_t> labels;  // likewise
};

struct PrefetchOptions {
  int64_t batch_size = 32;
  uint64_t seed = 1;  // of permutations and augmentation
  int32_t depth = 3;  // batches in memory, with the one being trained on
};

// The thread that prepares batches ahead of the trainer, in the order in which the source names
// them. All buffers are allocated at once; it is never more than `depth` batches ahead.
//
// Thread-safe; Next and Release are for one consumer.
class Prefetch {
 public:
  // `source` is called on the thread and may wait for the next draw; nullopt ends it.
  Prefetch(const PrefetchOptions& options, const Dataset& dataset,
           std::function<std::optional<Draw>()> source);
  ~Prefetch();  // stops first
  Prefetch(const Prefetch&) = delete;
  Prefetch& operator=(const Prefetch&) = delete;

  void Start();

  // Ends and joins the thread. The source must have been told to return first. Idempotent.
  void Stop();

  // The next batch, valid until Release; waits for it. Null after Interrupt, once.
  const PreparedBatch* Next();
  void Release();

  // Ends the Next under way, or else the next one.
  void Interrupt();

 private:
  void Run();
  void Fill(const Draw& draw, PreparedBatch& batch);
  const std::vector<int32_t>& OrderOf(int64_t data_epoch);

  const PrefetchOptions options_;
  const Dataset& dataset_;
  const std::function<std::optional<Draw>()> source_;
  std::thread thread_;

  // Of the thread alone: the permutations in use, two since leases span data epochs.
  struct Order {
    int64_t data_epoch;
    std::vector<int32_t> samples;
  };
  std::deque<Order> orders_;

  Mutex mutex_;
  CondVar changed_;
  // A ring: [first_, first_ + ready_) are ready, of which the consumer may hold the first. The
  // thread fills the one after them without the lock.
  std::vector<PreparedBatch> ring_;
  size_t first_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t ready_ ABSL_GUARDED_BY(mutex_) = 0;
  bool interrupted_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace grapevine::dataset
