#include "operator/metrics/job_collector.h"

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
     MetricType::Gauge, [](const JobSample& job) { return job.exchanges_per_second; }},
    {"grapevine_graph_changes_total", "Epochs published", MetricType::Counter,
     [](const JobSample& job) { return Double(job.stats.graph_changes); }},
};

}  // namespace

std::vector<MetricFamily> JobCollector::Collect() const {
  const std::vector<JobSample> jobs = jobs_();
  std::vector<MetricFamily> families;
  for (const JobMetric& metric : kMetrics) {
    MetricFamily family{.name = metric.name, .help = metric.help, .type = metric.type};
    for (const JobSample& job : jobs) {
      prometheus::ClientMetric sample;
      sample.label = {{"namespace", job.name_space}, {"name", job.name}};
      (metric.type == MetricType::Counter ? sample.counter.value : sample.gauge.value) =
          metric.read(job);
      family.metric.push_back(std::move(sample));
    }
    families.push_back(std::move(family));
  }
  return families;
}

}  // namespace grapevine::metrics
