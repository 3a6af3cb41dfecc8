#include "operator/metrics/job_collector.h"

#include <limits>
#include <string>

namespace grapevine::metrics {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

struct JobMetric {
  const char* name;
  const char* help;
  MetricType type;
  double (*read)(const JobSample&);
};

double Double(int64_t value) { return static_cast<double>(value); }

constexpr JobMetric kMetrics[] = {
    {"grapevine_job_members", "Members of the roster", MetricType::Gauge,
     [](const JobSample& job) { return static_cast<double>(job.stats.graph_members); }},
    {"grapevine_job_desired_workers", "Workers that the job asks for", MetricType::Gauge,
     [](const JobSample& job) { return Double(job.desired_workers); }},
    {"grapevine_job_epoch", "Epoch of roster and graph", MetricType::Gauge,
     [](const JobSample& job) { return static_cast<double>(job.stats.graph_epoch); }},
    {"grapevine_job_spectral_gap", "Spectral gap of the graph; 1 is as fast as any",
     MetricType::Gauge, [](const JobSample& job) { return job.spectral_gap; }},
    {"grapevine_job_samples_total", "Samples trained on, each counted once", MetricType::Counter,
     [](const JobSample& job) { return Double(job.stats.samples); }},
    {"grapevine_job_samples_per_second", "Samples trained on per second, lately", MetricType::Gauge,
     [](const JobSample& job) { return job.stats.samples_per_second; }},
    {"grapevine_job_progress_ratio", "Share of the job's samples that is done, 0 to 1",
     MetricType::Gauge, [](const JobSample& job) { return job.stats.fraction; }},
    {"grapevine_job_consensus_distance", "Root mean square distance of the models from their mean",
     MetricType::Gauge,
     [](const JobSample& job) { return job.stats.consensus_distance.value_or(0); }},
    {"grapevine_job_exchanges_per_second", "Exchanges completed per second, lately",
     MetricType::Gauge, [](const JobSample& job) { return job.stats.exchanges_per_second; }},
    {"grapevine_graph_changes_total", "Epochs published", MetricType::Counter,
     [](const JobSample& job) { return Double(job.stats.graph_changes); }},
};

struct JobHistogram {
  const char* name;
  const char* help;
  topology::Histogram topology::JobStats::*histogram;
};

constexpr JobHistogram kHistograms[] = {
    {"grapevine_graph_edits", "Edges added, and removed between members that stay, by epoch",
     &topology::JobStats::graph_edits},
    {"grapevine_graph_publish_seconds",
     "From a change of the roster to the last of the new views, by epoch",
     &topology::JobStats::publish_seconds},
};

prometheus::ClientMetric ForJob(const JobSample& job) {
  prometheus::ClientMetric metric;
  metric.label = {{"namespace", job.name_space}, {"name", job.name}};
  return metric;
}

prometheus::ClientMetric::Histogram ToMetric(const topology::Histogram& histogram) {
  prometheus::ClientMetric::Histogram metric;
  for (size_t i = 0; i < histogram.counts().size(); ++i) {
    const bool last = i == histogram.bounds().size();
    metric.sample_count += histogram.counts()[i];
    metric.bucket.push_back(
        {.cumulative_count = metric.sample_count,
         .upper_bound = last ? std::numeric_limits<double>::infinity() : histogram.bounds()[i]});
  }
  metric.sample_sum = histogram.sum();
  return metric;
}

}  // namespace

std::vector<MetricFamily> JobCollector::Collect() const {
  const std::vector<JobSample> jobs = jobs_();
  std::vector<MetricFamily> families;
  for (const JobMetric& metric : kMetrics) {
    MetricFamily family{.name = metric.name, .help = metric.help, .type = metric.type};
    for (const JobSample& job : jobs) {
      prometheus::ClientMetric sample = ForJob(job);
      (metric.type == MetricType::Counter ? sample.counter.value : sample.gauge.value) =
          metric.read(job);
      family.metric.push_back(std::move(sample));
    }
    families.push_back(std::move(family));
  }
  for (const JobHistogram& metric : kHistograms) {
    MetricFamily family{.name = metric.name, .help = metric.help, .type = MetricType::Histogram};
    for (const JobSample& job : jobs) {
      family.metric.push_back(ForJob(job));
      family.metric.back().histogram = ToMetric(job.stats.*metric.histogram);
    }
    families.push_back(std::move(family));
  }
  return families;
}

}  // namespace grapevine::metrics
