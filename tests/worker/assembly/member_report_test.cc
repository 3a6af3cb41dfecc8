#include "worker/assembly/member_report.h"

#include "gtest/gtest.h"

namespace grapevine::assembly {
namespace {

using topology::v1::Report;

PartCounts SomeCounts() {
  PartCounts counts;
  counts.trainer.steps = 10;
  counts.trainer.samples = 320;
  counts.trainer.unleased_samples = 32;
  counts.trainer.loss = 1.5;
  counts.trainer.learning_rate = 0.5;
  counts.trainer.samples_per_second = 80;
  counts.trainer.trainer_seconds = 4;
  counts.trainer.blocked_seconds = 0.25;
  counts.trainer.staleness_sum = 12;
  counts.gossip.begun.completed = 7;
  counts.gossip.begun.busy = 4;
  counts.gossip.begun.refused = 3;
  counts.gossip.begun.timed_out = 2;
  counts.gossip.begun.torn = 1;
  counts.gossip.begun.seconds[3] = 7;
  counts.gossip.begun.seconds_max = 0.75;
  counts.gossip.completed = 9;
  counts.gossip.peer_distance = 2.5;
  counts.gossip.weights_norm = 20;
  counts.gossip.view_epoch = 5;
  counts.gossip.settled = true;
  counts.traffic = {.bytes_sent = 1000, .bytes_received = 2000};
  return counts;
}

TEST(MemberReport, SaysAllThatWasCounted) {
  Report report;
  FillReport(SomeCounts(), {}, report);
  EXPECT_EQ(report.steps(), 10);
  EXPECT_EQ(report.samples(), 320);
  EXPECT_EQ(report.unleased_samples(), 32);
  EXPECT_EQ(report.loss(), 1.5);
  EXPECT_EQ(report.learning_rate(), 0.5);
  EXPECT_EQ(report.samples_per_second(), 80);
  EXPECT_EQ(report.trainer_seconds(), 4);
  EXPECT_EQ(report.blocked_seconds(), 0.25);
  EXPECT_EQ(report.staleness_sum(), 12);
  EXPECT_EQ(report.exchanges().completed(), 7);
  EXPECT_EQ(report.exchanges().busy(), 4);
  EXPECT_EQ(report.exchanges().refused(), 3);
  EXPECT_EQ(report.exchanges().timed_out(), 2);
  EXPECT_EQ(report.exchanges().torn(), 1);
  EXPECT_EQ(report.exchange_seconds_buckets_size(), api::kExchangeBuckets);
  EXPECT_EQ(report.exchange_seconds_buckets(3), 7u);
  EXPECT_EQ(report.exchange_seconds_max(), 0.75);
  EXPECT_EQ(report.seen_exchanges(), 9);
  EXPECT_EQ(report.peer_distance(), 2.5);
  EXPECT_EQ(report.weights_norm(), 20);
  EXPECT_EQ(report.view_epoch(), 5u);
  EXPECT_TRUE(report.settled());
  EXPECT_EQ(report.bytes_sent(), 1000);
  EXPECT_EQ(report.bytes_received(), 2000);
}

TEST(MemberReport, CountsFromWhereTheMemberBegan) {
  PartCounts counts = SomeCounts();
  Report baseline;
  FillReport(counts, {}, baseline);
  counts.trainer.steps += 1;
  counts.trainer.samples += 2;
  counts.trainer.unleased_samples += 3;
  counts.trainer.loss = 0.5;
  counts.trainer.trainer_seconds += 4;
  counts.trainer.blocked_seconds += 5;
  counts.trainer.staleness_sum += 6;
  counts.gossip.begun.completed += 7;
  counts.gossip.begun.busy += 8;
  counts.gossip.begun.refused += 9;
  counts.gossip.begun.timed_out += 10;
  counts.gossip.begun.torn += 11;
  counts.gossip.begun.seconds[3] += 12;
  counts.gossip.completed += 13;
  counts.traffic.bytes_sent += 14;
  counts.traffic.bytes_received += 15;
  Report report;
  FillReport(counts, baseline, report);
  EXPECT_EQ(report.steps(), 1);
  EXPECT_EQ(report.samples(), 2);
  EXPECT_EQ(report.unleased_samples(), 3);
  EXPECT_EQ(report.trainer_seconds(), 4);
  EXPECT_EQ(report.blocked_seconds(), 5);
  EXPECT_EQ(report.staleness_sum(), 6);
  EXPECT_EQ(report.exchanges().completed(), 7);
  EXPECT_EQ(report.exchanges().busy(), 8);
  EXPECT_EQ(report.exchanges().refused(), 9);
  EXPECT_EQ(report.exchanges().timed_out(), 10);
  EXPECT_EQ(report.exchanges().torn(), 11);
  EXPECT_EQ(report.exchange_seconds_buckets(3), 12u);
  EXPECT_EQ(report.seen_exchanges(), 13);
  EXPECT_EQ(report.bytes_sent(), 14);
  EXPECT_EQ(report.bytes_received(), 15);
  // What is no total stays as it is.
  EXPECT_EQ(report.loss(), 0.5);
  EXPECT_EQ(report.learning_rate(), 0.5);
  EXPECT_EQ(report.exchange_seconds_max(), 0.75);
  EXPECT_EQ(report.view_epoch(), 5u);
}

}  // namespace
}  // namespace grapevine::assembly
