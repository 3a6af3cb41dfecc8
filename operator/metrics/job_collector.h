#pragma once

#include <functional>
#include <vector>

#include "operator/metrics/operator_metrics.h"
#include "prometheus/collectable.h"
#include "prometheus/metric_family.h"

namespace grapevine::metrics {

// grapevine_job_* and grapevine_graph_*, made from what `jobs` says at the moment of a scrape.
// Thread-safe if `jobs` is.
class JobCollector final : public prometheus::Collectable {
 public:
  explicit JobCollector(std::function<std::vector<JobSample>()> jobs) : jobs_(std::move(jobs)) {}

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const std::function<std::vector<JobSample>()> jobs_;
};

}  // namespace grapevine::metrics
