#include "operator/metrics/work_collector.h"

#include <algorithm>
#include <utility>

namespace grapevine::metrics {

using prometheus::MetricFamily;

WorkCollector::WorkCollector(prometheus::Labels queue, const Clock* clock)
    : queue_(std::move(queue)), clock_(clock == nullptr ? real_clock_ : *clock) {}

void WorkCollector::Begin(const controller::Request& request) {
  MutexLock lock(mutex_);
  since_[request] = clock_.Now();
}

void WorkCollector::End(const controller::Request& request) {
  MutexLock lock(mutex_);
  since_.erase(request);
}

std::vector<MetricFamily> WorkCollector::Collect() const {
  double sum = 0;
  double longest = 0;
  {
    MutexLock lock(mutex_);
    const Time now = clock_.Now();
    for (const auto& [request, since] : since_) {
      sum += ToSeconds(now - since);
      longest = std::max(longest, ToSeconds(now - since));
    }
  }
  const auto family = [this](const char* name, const char* help, double value) {
    prometheus::ClientMetric metric;
    for (const auto& [label, text] : queue_) metric.label.push_back({label, text});
    metric.gauge.value = value;
    return MetricFamily{
        .name = name, .help = help, .type = prometheus::MetricType::Gauge, .metric = {metric}};
  };
  return {family("workqueue_unfinished_work_seconds", "Time that names have been worked on so far",
                 sum),
          family("workqueue_longest_running_processor_seconds",
                 "Time that the oldest of these has been worked on", longest)};
}

}  // namespace grapevine::metrics
