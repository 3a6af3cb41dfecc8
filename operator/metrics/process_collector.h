#pragma once

#include <chrono>
#include <vector>

#include "prometheus/collectable.h"
#include "prometheus/metric_family.h"

namespace grapevine::metrics {

// process_* of this process under the names of the Prometheus client libraries, read from /proc at
// each scrape. Thread-safe.
class ProcessCollector final : public prometheus::Collectable {
 public:
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const std::chrono::system_clock::time_point started_ = std::chrono::system_clock::now();
};

}  // namespace grapevine::metrics
