#include "operator/metrics/job_collector.h"

#include <limits>
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

TEST(JobCollector, ANewJobHasEverySeriesAtZero) {
  const JobCollector collector([] { return std::vector{Job("digits")}; });
  std::set<std::string> names;
  for (const prometheus::MetricFamily& family : collector.Collect()) {
    names.insert(family.name);
    ASSERT_THAT(family.metric, SizeIs(1)) << family.name;
    const prometheus::ClientMetric& metric = family.metric[0];
    ASSERT_THAT(metric.label, SizeIs(2)) << family.name;
    EXPECT_EQ(metric.label[0].value, "ml");
    EXPECT_EQ(metric.label[1].value, "digits");
    EXPECT_EQ(metric.gauge.value, 0) << family.name;
    EXPECT_EQ(metric.counter.value, 0) << family.name;
    EXPECT_EQ(metric.histogram.sample_count, 0u) << family.name;
    EXPECT_EQ(metric.histogram.bucket.empty(), family.type != MetricType::Histogram);
  }
  EXPECT_THAT(names,
              ElementsAre("grapevine_graph_changes_total", "grapevine_graph_edits",
                          "grapevine_graph_publish_seconds", "grapevine_job_consensus_distance",
                          "grapevine_job_desired_workers", "grapevine_job_epoch",
                          "grapevine_job_exchanges_per_second", "grapevine_job_members",
                          "grapevine_job_progress_ratio", "grapevine_job_samples_per_second",
                          "grapevine_job_samples_total", "grapevine_job_spectral_gap"));
}

TEST(JobCollector, ShowsWhatTheJobsSay) {
  JobSample job = Job("digits");
  job.desired_workers = 4;
  job.spectral_gap = 0.5;
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
  EXPECT_THAT(collector.Collect().front().metric, SizeIs(1));
  jobs.clear();
  for (const auto& family : collector.Collect()) EXPECT_THAT(family.metric, IsEmpty());
}

}  // namespace
}  // namespace grapevine::metrics
