#include "worker/metrics/worker_metrics.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "tests/operator/metrics/scrape.h"

namespace grapevine::metrics {
namespace {

using testing::HasSubstr;

TEST(WorkerMetrics, FromTheStartWhatIsCountedIsZeroAndWhatIsUnknownIsNotANumber) {
  const auto metrics = WorkerMetrics::Serve("127.0.0.1:0", [] { return WorkerCounts{}; });
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  const std::string answer = Scrape((*metrics)->port());
  for (const char* series :
       {"steps_total", "skipped_steps_total", "samples_total", "step_seconds_count",
        "step_seconds_sum", "exchanges_total{result=\"completed\"}",
        "exchanges_total{result=\"busy\"}", "exchanges_total{result=\"refused\"}",
        "exchanges_total{result=\"timed_out\"}", "exchanges_total{result=\"torn\"}",
        "exchange_seconds_count", "exchange_seconds_sum",
        "exchange_bytes_total{direction=\"sent\"}", "exchange_bytes_total{direction=\"received\"}",
        "staleness_steps_count", "neighbours", "epoch"}) {
    EXPECT_THAT(answer, HasSubstr(fmt::format("\ngrapevine_worker_{} 0\n", series)));
  }
  for (const char* gauge :
       {"loss", "learning_rate", "test_accuracy", "test_loss", "peer_distance"}) {
    EXPECT_THAT(answer, HasSubstr(fmt::format("\ngrapevine_worker_{} Nan\n", gauge)));
  }
}

TEST(WorkerMetrics, AScrapeShowsTheCountsOfTheMoment) {
  WorkerCounts counts;
  const auto metrics = WorkerMetrics::Serve("127.0.0.1:0", [&] { return counts; });
  ASSERT_TRUE(metrics.ok());
  counts.trainer.steps = 3;
  counts.trainer.loss = 1.5;
  counts.trainer.trainer_seconds = 6;
  counts.trainer.step_seconds[api::ExchangeBucket(2.0)] = 3;
  counts.trainer.staleness = {1, 0, 0, 2, 0, 0, 0, 0};
  counts.trainer.staleness_sum = 7;
  counts.gossip.begun.busy = 4;
  counts.gossip.begun.seconds[api::ExchangeBucket(0.01)] = 5;
  counts.gossip.view_epoch = 9;
  counts.traffic.bytes_sent = 1'000'000;
  counts.evaluation = {.loss = 0.75, .accuracy = 0.5, .samples = 10};
  counts.trainer.learning_rate = 0.125;
  counts.trainer.skipped_steps = 2;
  counts.gossip.completed = 1;
  counts.gossip.peer_distance = 0;
  const std::string answer = Scrape((*metrics)->port());
  for (const char* line : {"steps_total 3",
                           "loss 1.5",
                           "step_seconds_sum 6",
                           "step_seconds_count 3",
                           "step_seconds_bucket{le=\"1.6384\"} 0",
                           "step_seconds_bucket{le=\"3.2768\"} 3",
                           "step_seconds_bucket{le=\"+Inf\"} 3",
                           "staleness_steps_bucket{le=\"0\"} 1",
                           "staleness_steps_bucket{le=\"2\"} 1",
                           "staleness_steps_bucket{le=\"4\"} 3",
                           "staleness_steps_sum 7",
                           "exchanges_total{result=\"busy\"} 4",
                           "exchange_seconds_count 5",
                           "epoch 9",
                           "exchange_bytes_total{direction=\"sent\"} 1000000",
                           "test_accuracy 0.5",
                           "test_loss 0.75",
                           "learning_rate 0.125",
                           "skipped_steps_total 2",
                           "peer_distance 0"}) {
    EXPECT_THAT(answer, HasSubstr(fmt::format("\ngrapevine_worker_{}\n", line)));
  }
}

TEST(WorkerMetrics, APortThatIsTakenIsSaidSo) {
  const auto first = WorkerMetrics::Serve("127.0.0.1:0", [] { return WorkerCounts{}; });
  ASSERT_TRUE(first.ok());
  const std::string address = fmt::format("127.0.0.1:{}", (*first)->port());
  const auto second = WorkerMetrics::Serve(address, [] { return WorkerCounts{}; });
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(address));
}

TEST(WorkerMetrics, NothingIsReadAfterItsEnd) {
  std::atomic<bool> reading = false, ended = false, late = false;
  auto metrics = WorkerMetrics::Serve("127.0.0.1:0", [&] {
    reading = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    if (ended) late = true;
    return WorkerCounts{};
  });
  ASSERT_TRUE(metrics.ok());
  std::jthread scraper([port = (*metrics)->port()] { Scrape(port); });
  while (!reading) std::this_thread::yield();
  metrics->reset();
  ended = true;
  scraper.join();
  EXPECT_FALSE(late);
}

}  // namespace
}  // namespace grapevine::metrics
