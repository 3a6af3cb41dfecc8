#include "operator/metrics/operator_metrics.h"

#include <algorithm>

#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/operator/metrics/scrape.h"

namespace grapevine::metrics {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Outcome = controller::Probe::Outcome;

constexpr char kQueue[] = "{controller=\"trainingjob\",name=\"trainingjob\"}";
constexpr char kController[] = "{controller=\"trainingjob\"}";

std::unique_ptr<OperatorMetrics> Serve(std::function<std::vector<JobSample>()> jobs) {
  auto metrics = std::make_unique<OperatorMetrics>(
      OperatorMetricsOptions{.threads = 3, .jobs = std::move(jobs)});
  const absl::Status served = metrics->Serve("127.0.0.1:0");
  EXPECT_TRUE(served.ok()) << served;
  return metrics;
}

TEST(OperatorMetrics, EverySeriesOfTheControllerIsThereAtZeroFromTheStart) {
  const auto metrics = Serve([] { return std::vector<JobSample>(); });
  const std::string answer = Scrape(metrics->port());
  for (const char* name :
       {"workqueue_depth", "workqueue_adds_total", "workqueue_retries_total",
        "workqueue_queue_duration_seconds_count", "workqueue_work_duration_seconds_count",
        "workqueue_unfinished_work_seconds", "workqueue_longest_running_processor_seconds"}) {
    EXPECT_THAT(answer, HasSubstr(fmt::format("\n{}{} 0\n", name, kQueue)));
  }
  for (const char* name :
       {"controller_runtime_reconcile_errors_total", "controller_runtime_active_workers",
        "controller_runtime_terminal_reconcile_errors_total",
        "controller_runtime_reconcile_time_seconds_count"}) {
    EXPECT_THAT(answer, HasSubstr(fmt::format("\n{}{} 0\n", name, kController)));
  }
  for (const char* result : {"success", "requeue_after", "error"}) {
    EXPECT_THAT(
        answer,
        HasSubstr(fmt::format(
            "\ncontroller_runtime_reconcile_total{{controller=\"trainingjob\",result=\"{}\"}} 0\n",
            result)));
  }
  EXPECT_THAT(answer, HasSubstr(fmt::format("\ncontroller_runtime_max_concurrent_reconciles{} 3\n",
                                            kController)));
  for (const char* name :
       {"process_cpu_seconds_total", "process_open_fds", "process_virtual_memory_bytes",
        "process_resident_memory_bytes", "process_start_time_seconds"}) {
    EXPECT_THAT(answer, HasSubstr(fmt::format("\n{} ", name)));
  }
}

TEST(OperatorMetrics, ARunThroughTheQueueShows) {
  const auto metrics = Serve([] { return std::vector<JobSample>(); });
  metrics->OnAdded(2);
  metrics->OnReconcileStarted({"ml", "digits"}, 1s, 1);
  std::string answer = Scrape(metrics->port());
  EXPECT_THAT(answer, HasSubstr(fmt::format("\nworkqueue_adds_total{} 1\n", kQueue)));
  EXPECT_THAT(answer, HasSubstr(fmt::format("\nworkqueue_depth{} 1\n", kQueue)));
  EXPECT_THAT(answer,
              HasSubstr(fmt::format("\nworkqueue_queue_duration_seconds_sum{} 1\n", kQueue)));
  EXPECT_THAT(answer,
              HasSubstr(fmt::format("\ncontroller_runtime_active_workers{} 1\n", kController)));
  metrics->OnReconciled({"ml", "digits"}, Outcome::kError, 2s);
  metrics->OnReconciled({"ml", "digits"}, Outcome::kTerminalError, 2s);
  answer = Scrape(metrics->port());
  EXPECT_THAT(answer, HasSubstr(fmt::format("\nworkqueue_retries_total{} 1\n", kQueue)));
  for (const auto& [name, count] : {std::pair{"reconcile_errors_total", 2},
                                    {"terminal_reconcile_errors_total", 1},
                                    {"reconcile_time_seconds_count", 2}}) {
    EXPECT_THAT(answer,
                HasSubstr(fmt::format("\ncontroller_runtime_{}{} {}\n", name, kController, count)));
  }
}

class StandingClock final : public Clock {
 public:
  Time Now() const override { return now; }
  Time now = Time(1000s);
};

TEST(OperatorMetrics, WorkThatIsUnderWayGrowsUntilItIsDone) {
  StandingClock clock;
  OperatorMetrics metrics({.clock = &clock, .jobs = [] { return std::vector<JobSample>(); }});
  ASSERT_TRUE(metrics.Serve("127.0.0.1:0").ok());
  const auto expect = [&](int sum, int longest) {
    const std::string answer = Scrape(metrics.port());
    EXPECT_THAT(answer,
                HasSubstr(fmt::format("\nworkqueue_unfinished_work_seconds{} {}\n", kQueue, sum)));
    EXPECT_THAT(answer,
                HasSubstr(fmt::format("\nworkqueue_longest_running_processor_seconds{} {}\n",
                                      kQueue, longest)));
  };
  metrics.OnReconcileStarted({"ml", "hangs"}, 0s, 0);
  clock.now += 3s;
  metrics.OnReconcileStarted({"ml", "digits"}, 0s, 0);
  clock.now += 1s;
  expect(5, 4);
  metrics.OnReconciled({"ml", "hangs"}, Outcome::kError, 4s);
  expect(1, 1);
  metrics.OnReconciled({"ml", "digits"}, Outcome::kSuccess, 1s);
  expect(0, 0);
}

TEST(OperatorMetrics, AJobsSeriesComeAndGoWithIt) {
  std::vector<JobSample> jobs;
  const auto metrics = Serve([&jobs] { return jobs; });
  EXPECT_THAT(Scrape(metrics->port()), Not(HasSubstr("name=\"digits\"")));
  jobs = {{.name_space = "ml", .name = "digits", .desired_workers = 4}};
  const std::string answer = Scrape(metrics->port());
  for (const char* line :
       {"grapevine_job_desired_workers{namespace=\"ml\",name=\"digits\"} 4",
        "grapevine_job_members{namespace=\"ml\",name=\"digits\"} 0",
        "grapevine_graph_changes_total{namespace=\"ml\",name=\"digits\"} 0",
        "grapevine_graph_edits_count{namespace=\"ml\",name=\"digits\"} 0",
        "grapevine_graph_edits_bucket{namespace=\"ml\",name=\"digits\",le=\"+Inf\"} 0",
        "grapevine_graph_publish_seconds_count{namespace=\"ml\",name=\"digits\"} 0"}) {
    EXPECT_THAT(answer, HasSubstr(fmt::format("\n{}\n", line)));
  }
  jobs.clear();
  EXPECT_THAT(Scrape(metrics->port()), Not(HasSubstr("name=\"digits\"")));
}

TEST(OperatorMetrics, APortThatIsTakenIsSaidSo) {
  const auto first = Serve([] { return std::vector<JobSample>(); });
  const std::string address = fmt::format("127.0.0.1:{}", first->port());
  OperatorMetrics second({.jobs = [] { return std::vector<JobSample>(); }});
  const absl::Status served = second.Serve(address);
  EXPECT_EQ(served.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(served.message()), HasSubstr(address));
}

TEST(OperatorMetrics, APortAloneIsNoAddress) {
  OperatorMetrics metrics({.jobs = [] { return std::vector<JobSample>(); }});
  EXPECT_EQ(metrics.Serve("8080").code(), absl::StatusCode::kInvalidArgument);
}

TEST(OperatorMetrics, EndsAtOnceWhereverItIsServed) {
  for (const char* address : {"127.0.0.1:0", "127.0.0.2:0", "0.0.0.0:0", "localhost:0"}) {
    Duration quickest = Duration::max();  // of some: a busy machine may hold one up
    for (int i = 0; i < 5 && quickest > 1s; ++i) {
      OperatorMetrics metrics({.jobs = [] { return std::vector<JobSample>(); }});
      const absl::Status served = metrics.Serve(address);
      ASSERT_TRUE(served.ok()) << served;
      const Time begun = RealClock().Now();
      metrics.StopServing();
      quickest = std::min(quickest, RealClock().Now() - begun);
    }
    EXPECT_LT(quickest, 1s) << address;
  }
}

}  // namespace
}  // namespace grapevine::metrics
