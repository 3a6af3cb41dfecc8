#pragma once

#include <map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "operator/base/clock.h"
#include "operator/base/mutex.h"
#include "operator/controller/reconciler.h"
#include "prometheus/collectable.h"
#include "prometheus/labels.h"
#include "prometheus/metric_family.h"

namespace grapevine::metrics {

// What is under way in a queue, as of each scrape: workqueue_unfinished_work_seconds, the sum of
// the times since each name was taken, and workqueue_longest_running_processor_seconds, the longest
// of them. Both grow while a thread hangs, where all other metrics stand still. Thread-safe.
class WorkCollector final : public prometheus::Collectable {
 public:
  // `clock` must outlive it; nullptr for the machine's.
  WorkCollector(prometheus::Labels queue, const Clock* clock);

  // A name is in one pair of hands at a time.
  void Begin(const controller::Request& request);
  void End(const controller::Request& request);

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const prometheus::Labels queue_;
  const RealClock real_clock_;
  const Clock& clock_;
  mutable Mutex mutex_;
  std::map<controller::Request, Time> since_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace grapevine::metrics
