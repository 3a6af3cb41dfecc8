#include "operator/metrics/job_collector.h"

#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grapevine::metrics {
namespace {

using prometheus::MetricType;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

JobSample Job(const std::string& name) { return {.name_space = "ml", .name = name}; }

const prometheus::MetricFamily& Find(const std::vector<prometheus::MetricFamily>& families,
                                     const std::string& name) {
  for (const auto& family : families) {
    if (family.name == name) return family;
  }
  ADD_FAILURE() << name << " is missing";
  return families.front();
}

TEST(JobCollector, OfANewJobWhatIsCountedIsZeroAndWhatIsUnknownIsNotANumber) {
  const JobCollector collector([] { return std::vector{Job("digits")}; });
  std::set<std::string> zero, unknown;
  for (const prometheus::MetricFamily& family : collector.Collect()) {
    for (const prometheus::ClientMetric& metric : family.metric) {
      ASSERT_GE(metric.label.size(), 2u) << family.name;
      EXPECT_EQ(metric.label[0].value, "ml");
      EXPECT_EQ(metric.label[1].value, "digits");
      EXPECT_EQ(metric.counter.value, 0) << family.name;
      EXPECT_EQ(metric.histogram.sample_count, 0u) << family.name;
      EXPECT_EQ(metric.histogram.bucket.empty(), family.type != MetricType::Histogram);
      if (std::isnan(metric.gauge.value)) {
        unknown.insert(family.name);
      } else {
        EXPECT_EQ(metric.gauge.value, 0) << family.name;
        zero.insert(family.name);
      }
    }
  }
  EXPECT_THAT(zero, ElementsAre("grapevine_graph_changes_total", "grapevine_graph_edits",
                                "grapevine_graph_publish_seconds", "grapevine_job_condition",
                                "grapevine_job_desired_workers", "grapevine_job_epoch",
                                "grapevine_job_guessing_loss", "grapevine_job_joined_total",
                                "grapevine_job_left_total", "grapevine_job_lost_total",
                                "grapevine_job_members", "grapevine_job_min_workers",
                                "grapevine_job_samples_total"));
  EXPECT_THAT(unknown,
              ElementsAre("grapevine_job_consensus_distance", "grapevine_job_exchanges_per_second",
                          "grapevine_job_loss", "grapevine_job_progress_ratio",
                          "grapevine_job_remaining_seconds", "grapevine_job_samples_per_second",
                          "grapevine_job_spectral_gap", "grapevine_job_test_accuracy",
                          "grapevine_job_test_loss"));
}

TEST(JobCollector, EachConditionIsASeries) {
  JobSample job = Job("digits");
  job.status.conditions = {{.type = api::kRunning, .status = "True"},
                           {.type = api::kDegraded, .status = "False"}};
  const JobCollector collector([&] { return std::vector{job}; });
  const auto families = collector.Collect();
  std::map<std::string, double> conditions;
  for (const auto& metric : Find(families, "grapevine_job_condition").metric) {
    ASSERT_THAT(metric.label, SizeIs(3));
    EXPECT_EQ(metric.label[2].name, "condition");
    conditions[metric.label[2].value] = metric.gauge.value;
  }
  const std::map<std::string, double> expected = {{"Failed", 0},    {"Succeeded", 0},
                                                  {"Suspended", 0}, {"Degraded", 0},
                                                  {"Running", 1},   {"Initialized", 0}};
  EXPECT_EQ(conditions, expected);
}

TEST(JobCollector, TheResultStandsAboveEarlierEvaluations) {
  JobSample job = Job("digits");
  const JobCollector collector([&] { return std::vector{job}; });
  const auto accuracy = [&] {
    const auto families = collector.Collect();
    return Find(families, "grapevine_job_test_accuracy").metric[0].gauge.value;
  };
  job.stats.evaluations = {{.accuracy = 0.5}, {.accuracy = 0.75}};
  EXPECT_EQ(accuracy(), 0.75);
  job.stats.result = {.accuracy = 0.875};
  EXPECT_EQ(accuracy(), 0.875);
}

TEST(JobCollector, ShowsWhatTheJobsSay) {
  JobSample job = Job("digits");
  job.desired_workers = 4;
  job.min_workers = 2;
  job.status.graph = {.epoch = 3, .spectral_gap = 0.5};
  job.stats.samples_total = 2800;
  job.stats.fraction = 0.25;
  job.stats.remaining_seconds = 7;
  job.stats.lost = 1;
  job.stats.graph_members = 3;
  job.stats.samples = 700;
  job.stats.exchanges_per_second = 12.5;
  job.stats.consensus_distance = 0.25;
  const JobCollector collector([&] { return std::vector{job, Job("other")}; });
  const auto families = collector.Collect();
  const auto value = [&](const char* name) { return Find(families, name).metric[0].gauge.value; };
  EXPECT_EQ(value("grapevine_job_desired_workers"), 4);
  EXPECT_EQ(value("grapevine_job_spectral_gap"), 0.5);
  EXPECT_EQ(value("grapevine_job_members"), 3);
  EXPECT_EQ(value("grapevine_job_min_workers"), 2);
  EXPECT_EQ(value("grapevine_job_progress_ratio"), 0.25);
  EXPECT_EQ(value("grapevine_job_remaining_seconds"), 7);
  EXPECT_EQ(Find(families, "grapevine_job_lost_total").metric[0].counter.value, 1);
  EXPECT_EQ(value("grapevine_job_exchanges_per_second"), 12.5);
  EXPECT_EQ(value("grapevine_job_consensus_distance"), 0.25);
  EXPECT_EQ(Find(families, "grapevine_job_samples_total").metric[0].counter.value, 700);
  EXPECT_EQ(Find(families, "grapevine_job_members").metric[1].gauge.value, 0);
}

TEST(JobCollector, HistogramsAreCumulativeUpToInfinity) {
  JobSample job = Job("digits");
  for (const double edits : {1.0, 3.0, 1e6}) job.stats.graph_edits.Add(edits);
  const JobCollector collector([&] { return std::vector{job}; });
  const auto families = collector.Collect();
  const auto& histogram = Find(families, "grapevine_graph_edits").metric[0].histogram;
  EXPECT_EQ(histogram.sample_count, 3u);
  EXPECT_EQ(histogram.sample_sum, 1.0 + 3.0 + 1e6);
  ASSERT_THAT(histogram.bucket, SizeIs(std::size(topology::kEditsBounds) + 1));
  EXPECT_EQ(histogram.bucket[0].cumulative_count, 1u);
  EXPECT_EQ(histogram.bucket[2].upper_bound, 5);
  EXPECT_EQ(histogram.bucket[2].cumulative_count, 2u);
  EXPECT_EQ(histogram.bucket.back().upper_bound, std::numeric_limits<double>::infinity());
  EXPECT_EQ(histogram.bucket.back().cumulative_count, 3u);
}

TEST(JobCollector, TheSeriesOfAJobGoWithIt) {
  std::vector<JobSample> jobs = {Job("digits")};
  const JobCollector collector([&] { return jobs; });
  EXPECT_THAT(collector.Collect().back().metric, SizeIs(1));
  jobs.clear();
  for (const auto& family : collector.Collect()) EXPECT_THAT(family.metric, IsEmpty());
}

}  // namespace
}  // namespace grapevine::metrics
