#include "operator/topology/accounts.h"

#include <cmath>
#include <limits>

#include "gtest/gtest.h"

namespace grapevine::topology {
namespace {

v1::Report ReportOf(int64_t steps, int64_t completed, double distance) {
  v1::Report report;
  report.set_steps(steps);
  report.mutable_exchanges()->set_completed(completed);
  report.set_seen_exchanges(completed);
  report.set_peer_distance(distance);
  return report;
}

JobStats StatsOf(const Accounts& accounts) {
  JobStats stats;
  accounts.Fill(stats);
  return stats;
}

TEST(Accounts, CountsWhoJoinedLeftAndWasLost) {
  Accounts accounts;
  for (MemberId id = 1; id <= 4; ++id) accounts.Admit(id, "pod", 0);
  accounts.Leave(1, /*lost=*/true);
  accounts.Leave(2, /*lost=*/false);
  const JobStats stats = StatsOf(accounts);
  EXPECT_EQ(stats.joined, 4);
  EXPECT_EQ(stats.lost, 1);
  EXPECT_EQ(stats.left, 1);
  ASSERT_EQ(stats.members.size(), 4u);
  EXPECT_FALSE(stats.members[0].alive);
  EXPECT_TRUE(stats.members[2].alive);
}

TEST(Accounts, LatestReportReplacesTheOneBefore) {
  Accounts accounts;
  accounts.Admit(1, "a", 0);
  accounts.Admit(2, "b", 0);
  accounts.Report(1, ReportOf(10, 5, 1));
  accounts.Report(1, ReportOf(20, 7, 1));
  accounts.Report(2, ReportOf(3, 2, 1));
  const JobStats stats = StatsOf(accounts);
  EXPECT_EQ(stats.members[0].steps, 20);
  EXPECT_EQ(stats.exchanges.completed, 9);
  EXPECT_EQ(accounts.exchanges_completed(), 9);
}

TEST(Accounts, TheLossIsTheMeanOverWhoeverIsThereAndHasOne) {
  Accounts accounts;
  EXPECT_TRUE(std::isnan(accounts.Loss()));
  for (MemberId id = 1; id <= 4; ++id) accounts.Admit(id, "pod", 0);
  EXPECT_TRUE(std::isnan(accounts.Loss()));
  v1::Report report;
  for (const auto& [id, loss] : {std::pair{1, 1.0}, {2, 3.0}, {3, 100.0}}) {
    report.set_loss(loss);
    accounts.Report(id, report);
  }
  report.set_loss(std::numeric_limits<double>::quiet_NaN());
  accounts.Report(4, report);
  accounts.Leave(3, /*lost=*/true);
  EXPECT_EQ(accounts.Loss(), 2);
  EXPECT_EQ(StatsOf(accounts).loss, 2);
}

TEST(Accounts, KeepsWhatADepartedMemberDid) {
  Accounts accounts;
  accounts.Admit(1, "a", 0);
  accounts.Report(1, ReportOf(10, 5, 1));
  accounts.Leave(1, /*lost=*/true);
  accounts.Report(1, ReportOf(11, 6, 1));  // it was on its way
  EXPECT_EQ(StatsOf(accounts).exchanges.completed, 6);
}

TEST(Accounts, CountsThatNobodyCanHaveReachedAreCutToWhatCanBeSummed) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  Accounts accounts;
  for (MemberId id = 1; id <= 3; ++id) {
    accounts.Admit(id, "pod", 0);
    v1::Report report = ReportOf(1, kMost, 1);
    report.mutable_exchanges()->set_torn(kMost);
    report.add_exchange_seconds_buckets(std::numeric_limits<uint64_t>::max());
    accounts.Report(id, report);
  }
  JobStats stats = StatsOf(accounts);
  EXPECT_EQ(stats.exchanges.completed, 3'000'000'000'000);
  EXPECT_EQ(stats.exchanges.torn, 3'000'000'000'000);
  EXPECT_EQ(stats.exchanges.seconds[0], 3'000'000'000'000u);
  EXPECT_EQ(accounts.exchanges_completed(), 3'000'000'000'000);
  for (MemberId id = 1; id <= 3; ++id) accounts.Report(id, ReportOf(1, -kMost, 1));
  stats = StatsOf(accounts);
  EXPECT_EQ(stats.exchanges.completed, 0);
  EXPECT_EQ(accounts.exchanges_completed(), 0);
}

TEST(Accounts, ConsensusDistanceFollowsFromPairDistances) {
  Accounts accounts;
  EXPECT_FALSE(accounts.ConsensusDistance().has_value());
  accounts.Admit(1, "a", 0);
  accounts.Admit(2, "b", 0);
  accounts.Report(1, ReportOf(1, 1, 2));
  accounts.Report(2, ReportOf(1, 1, 2));
  // Two models 2 apart are each 1 from their mean.
  EXPECT_NEAR(accounts.ConsensusDistance().value(), 1, 1e-12);
}

TEST(Accounts, KeepsTheLatestChangesAlone) {
  Accounts accounts;
  for (size_t i = 0; i < JobStats::kMaxChanges + 5; ++i) accounts.AddChange({.member = i});
  const JobStats stats = StatsOf(accounts);
  ASSERT_EQ(stats.changes.size(), JobStats::kMaxChanges);
  EXPECT_EQ(stats.changes.front().member, 5u);
}

}  // namespace
}  // namespace grapevine::topology
