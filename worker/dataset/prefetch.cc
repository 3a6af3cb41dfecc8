#include "worker/dataset/prefetch.h"

#include <algorithm>
#include <span>
#include <utility>

#include "operator/base/check.h"
#include "worker/dataset/permutation.h"

namespace grapevine::dataset {

Prefetch::Prefetch(const PrefetchOptions& options, const Dataset& dataset,
                   std::function<std::optional<Draw>()> source)
    : options_(options), dataset_(dataset), source_(std::move(source)), ring_(options.depth) {
  for (PreparedBatch& batch : ring_) {
    batch.images.resize(options_.batch_size * dataset_.shape().elements());
    batch.labels.resize(options_.batch_size);
  }
}

Prefetch::~Prefetch() { Stop(); }

void Prefetch::Start() { thread_ = std::thread(&Prefetch::Run, this); }

void Prefetch::Stop() {
  {
    MutexLock lock(mutex_);
    stopped_ = true;
    changed_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

const PreparedBatch* Prefetch::Next() {
  MutexLock lock(mutex_);
  while (ready_ == 0 && !interrupted_) changed_.Wait(mutex_);
  if (std::exchange(interrupted_, false)) return nullptr;
  return &ring_[first_];
}

void Prefetch::Release() {
  MutexLock lock(mutex_);
  GRAPEVINE_CHECK(ready_ > 0);
  first_ = (first_ + 1) % ring_.size();
  --ready_;
  changed_.NotifyAll();
}

void Prefetch::Interrupt() {
  MutexLock lock(mutex_);
  interrupted_ = true;
  changed_.NotifyAll();
}

void Prefetch::Run() {
  while (true) {
    size_t slot = 0;
    {
      MutexLock lock(mutex_);
      while (ready_ == ring_.size() && !stopped_) changed_.Wait(mutex_);
      if (stopped_) return;
      slot = (first_ + ready_) % ring_.size();
    }
    // The slot stays the one after the last ready one: only this thread adds, and Release moves
    // both ends.
    const std::optional<Draw> draw = source_();
    if (!draw.has_value()) return;
    Fill(*draw, ring_[slot]);
    MutexLock lock(mutex_);
    ++ready_;
    changed_.NotifyAll();
  }
}

void Prefetch::Fill(const Draw& draw, PreparedBatch& batch) {
  const int64_t samples = dataset_.size(Split::kTrain);
  const size_t elements = dataset_.shape().elements();
  const std::vector<int32_t>& order = OrderOf(draw.data_epoch);
  batch.draw = draw;
  batch.samples = BatchSamples(draw.batch, samples, options_.batch_size);
  GRAPEVINE_CHECK(draw.batch >= 0 && batch.samples > 0);
  for (int64_t i = 0; i < batch.samples; ++i) {
    const std::span<float> image(batch.images.data() + i * elements, elements);
    batch.labels[i] = dataset_.GetAugmented(options_.seed, draw.data_epoch,
                                            order[draw.batch * options_.batch_size + i], image);
  }
}

const std::vector<int32_t>& Prefetch::OrderOf(int64_t data_epoch) {
  for (const Order& order : orders_) {
    if (order.data_epoch == data_epoch) return order.samples;
  }
  if (orders_.size() == 2) orders_.pop_front();
  orders_.push_back(
      {data_epoch, Permutation(options_.seed, data_epoch, dataset_.size(Split::kTrain))});
  return orders_.back().samples;
}

}  // namespace grapevine::dataset
