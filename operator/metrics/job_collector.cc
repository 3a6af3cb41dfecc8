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

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

double Double(int64_t value) { return static_cast<double>(value); }

// The job's result, or what is newest until there is one.
const topology::Evaluation* LastEvaluation(const topology::JobStats& stats) {
  if (stats.result) return &*stats.result;
  return stats.evaluations.empty() ? nullptr : &stats.evaluations.back();
}

constexpr JobMetric kMetrics[] = {
    {"grapevine_job_members", "Members of the roster", MetricType::Gauge,
     [](const JobSample& job) { return static_cast<double>(job.stats.graph_members); }},
    {"grapevine_job_desired_workers", "Workers that the job asks for", MetricType::Gauge,
     [](const JobSample& job) { return Double(job.desired_workers); }},
    {"grapevine_job_min_workers", "Workers below which the job waits", MetricType::Gauge,
     [](const JobSample& job) { return Double(job.min_workers); }},
    {"grapevine_job_joined_total", "Members ever admitted, the first ones too", MetricType::Counter,
     [](const JobSample& job) { return Double(job.stats.joined); }},
    {"grapevine_job_left_total", "Members that left in order", MetricType::Counter,
     [](const JobSample& job) { return Double(job.stats.left); }},
    {"grapevine_job_lost_total", "Members that left unasked: killed, cut off or silent",
     MetricType::Counter, [](const JobSample& job) { return Double(job.stats.lost); }},
    {"grapevine_job_epoch", "Epoch of roster and graph", MetricType::Gauge,
     [](const JobSample& job) { return static_cast<double>(job.stats.graph_epoch); }},
    {"grapevine_job_spectral_gap", "Spectral gap of the graph; 1 is as fast as any",
     MetricType::Gauge,
     [](const JobSample& job) {
       return job.status.graph.epoch == 0 ? kUnknown : job.status.graph.spectral_gap;
     }},
    {"grapevine_job_samples_total", "Samples trained on, each counted once", MetricType::Counter,
     [](const JobSample& job) { return Double(job.stats.samples); }},
    {"grapevine_job_samples_per_second", "Samples trained on per second, lately", MetricType::Gauge,
     [](const JobSample& job) { return job.stats.samples_per_second.value_or(kUnknown); }},
    {"grapevine_job_progress_ratio", "Share of the job's samples that is done, 0 to 1",
     MetricType::Gauge,
     [](const JobSample& job) {
       return job.stats.samples_total == 0 ? kUnknown : job.stats.fraction;
     }},
    {"grapevine_job_remaining_seconds", "Time that the rest of the samples takes at this rate",
     MetricType::Gauge,
     [](const JobSample& job) { return job.stats.remaining_seconds.value_or(kUnknown); }},
    {"grapevine_job_loss", "Mean of the members' losses", MetricType::Gauge,
     [](const JobSample& job) { return job.stats.loss; }},
    {"grapevine_job_guessing_loss", "Loss from which on a model does no better than guess",
     MetricType::Gauge, [](const JobSample& job) { return job.guessing_loss; }},
    {"grapevine_job_test_accuracy", "Share of the test set that the last evaluation got right",
     MetricType::Gauge,
     [](const JobSample& job) {
       const topology::Evaluation* last = LastEvaluation(job.stats);
       return last == nullptr ? kUnknown : last->accuracy;
     }},
    {"grapevine_job_test_loss", "Mean loss over the test set of the last evaluation",
     MetricType::Gauge,
     [](const JobSample& job) {
       const topology::Evaluation* last = LastEvaluation(job.stats);
       return last == nullptr ? kUnknown : last->loss;
     }},
    {"grapevine_job_consensus_distance", "Root mean square distance of the models from their mean",
     MetricType::Gauge,
     [](const JobSample& job) { return job.stats.consensus_distance.value_or(kUnknown); }},
    {"grapevine_job_exchanges_per_second", "Exchanges completed per second, lately",
     MetricType::Gauge,
     [](const JobSample& job) { return job.stats.exchanges_per_second.value_or(kUnknown); }},
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

MetricFamily Conditions(const std::vector<JobSample>& jobs) {
  MetricFamily family{.name = "grapevine_job_condition",
                      .help = "1 for each condition of the job that is true, else 0",
                      .type = MetricType::Gauge};
  for (const JobSample& job : jobs) {
    for (const char* condition : {api::kFailed, api::kSucceeded, api::kSuspended, api::kDegraded,
                                  api::kRunning, api::kInitialized}) {
      prometheus::ClientMetric& sample = family.metric.emplace_back(ForJob(job));
      sample.label.push_back({"condition", condition});
      sample.gauge.value = api::IsTrue(job.status.conditions, condition) ? 1 : 0;
    }
  }
  return family;
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
  std::vector<MetricFamily> families = {Conditions(jobs)};
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
