#include "worker/member_report.h"

#include "gtest/gtest.h"

namespace grapevine {
namespace {

using topology::v1::Report;

PartCounts SomeCounts() {
  PartCounts counts;
  counts.trainer.steps = 10;
  counts.trainer.samples = 320;
  counts.trainer.unleased_samples = 32;
  counts.trainer.loss = 1.5;
  counts.trainer.trainer_seconds = 4;
  counts.gossip.begun.completed = 7;
  counts.gossip.begun.torn = 1;
  counts.gossip.begun.seconds[3] = 7;
  counts.gossip.completed = 9;
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
  EXPECT_EQ(report.exchanges().completed(), 7);
  EXPECT_EQ(report.exchanges().torn(), 1);
  EXPECT_EQ(report.exchange_seconds_buckets_size(), api::kExchangeBuckets);
  EXPECT_EQ(report.exchange_seconds_buckets(3), 7u);
  EXPECT_EQ(report.seen_exchanges(), 9);
  EXPECT_EQ(report.view_epoch(), 5u);
  EXPECT_TRUE(report.settled());
  EXPECT_EQ(report.bytes_sent(), 1000);
  EXPECT_EQ(report.bytes_received(), 2000);
}

TEST(MemberReport, CountsFromWhereTheMemberBegan) {
  PartCounts counts = SomeCounts();
  Report baseline;
  FillReport(counts, {}, baseline);
  counts.trainer.steps += 2;
  counts.trainer.loss = 0.5;
  counts.gossip.begun.completed += 3;
  counts.gossip.begun.seconds[3] += 3;
  counts.traffic.bytes_sent += 50;
  Report report;
  FillReport(counts, baseline, report);
  EXPECT_EQ(report.steps(), 2);
  EXPECT_EQ(report.samples(), 0);
  EXPECT_EQ(report.trainer_seconds(), 0);
  EXPECT_EQ(report.exchanges().completed(), 3);
  EXPECT_EQ(report.exchanges().torn(), 0);
  EXPECT_EQ(report.exchange_seconds_buckets(3), 3u);
  EXPECT_EQ(report.bytes_sent(), 50);
  EXPECT_EQ(report.loss(), 0.5);
  EXPECT_EQ(report.view_epoch(), 5u);
}

}  // namespace
}  // namespace grapevine
