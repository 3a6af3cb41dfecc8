#include "operator/topology/lease_desk.h"

#include <vector>

#include "gtest/gtest.h"

namespace grapevine::topology {
namespace {

constexpr Time kNow{1000s};

class LeaseDeskTest : public ::testing::Test {
 protected:
  LeaseDeskTest()
      : desk_({.samples_per_epoch = 320, .batch_size = 10, .data_epochs = 1},
              [this](MemberId member, const HubMessage& message) {
                sent_.emplace_back(member, message);
              }) {
    desk_.SetGranting(true, kNow);
  }

  // What a member holds by what it was sent: lease and batches.
  std::vector<std::pair<uint64_t, int64_t>> LeasesOf(MemberId member) const {
    std::vector<std::pair<uint64_t, int64_t>> leases;
    for (const auto& [to, message] : sent_) {
      if (to != member || !message.has_lease()) continue;
      int64_t batches = 0;
      for (const auto& range : message.lease().ranges()) {
        batches += range.end_batch() - range.first_batch();
      }
      leases.emplace_back(message.lease().lease(), batches);
    }
    return leases;
  }

  // Reports all that `member` was ever granted as done.
  void Finish(MemberId member) {
    v1::Report report;
    report.set_steps(++steps_);
    for (const auto& [lease, batches] : LeasesOf(member)) {
      v1::LeaseProgress& done = *report.add_leases();
      done.set_lease(lease);
      done.set_batches_done(batches);
    }
    desk_.OnReport(member, report, kNow);
  }

  std::vector<std::pair<MemberId, HubMessage>> sent_;
  LeaseDesk desk_;
  int64_t steps_ = 0;
};

TEST_F(LeaseDeskTest, OneMemberWorksTheWholeJobOff) {
  desk_.AddMember(1, kNow);
  for (int i = 0; i < 100 && !desk_.ledger().Finished(); ++i) Finish(1);
  EXPECT_TRUE(desk_.ledger().Finished());
  EXPECT_EQ(desk_.ledger().samples_done(), 320);
}

TEST_F(LeaseDeskTest, GrantsNothingWhileGrantingIsOff) {
  desk_.SetGranting(false, kNow);
  desk_.AddMember(1, kNow);
  EXPECT_TRUE(LeasesOf(1).empty());
  desk_.SetGranting(true, kNow);
  EXPECT_FALSE(LeasesOf(1).empty());
}

TEST_F(LeaseDeskTest, WhatAReleasedMemberHeldIsWorkedOffByAnother) {
  desk_.AddMember(1, kNow);
  desk_.RemoveMember(1);
  desk_.Release(1, kNow);
  desk_.AddMember(2, kNow);
  for (int i = 0; i < 100 && !desk_.ledger().Finished(); ++i) Finish(2);
  EXPECT_EQ(desk_.ledger().samples_done(), 320);
  // A late word of the first one counts for nothing.
  Finish(1);
  EXPECT_EQ(desk_.ledger().samples_done(), 320);
}

TEST_F(LeaseDeskTest, ResumeSendsAgainWhatTheMemberLacks) {
  desk_.AddMember(1, kNow);
  const size_t granted = LeasesOf(1).size();
  ASSERT_GT(granted, 0u);
  desk_.RemoveMember(1);
  desk_.OnResume(1, v1::Register(), kNow);
  EXPECT_GE(LeasesOf(1).size(), 2 * granted);
}

TEST_F(LeaseDeskTest, ProgressSurvivesRestoring) {
  desk_.AddMember(1, kNow);
  Finish(1);
  const int64_t done = desk_.ledger().samples_done();
  ASSERT_GT(done, 0);
  const v1::JobProgress progress = desk_.Progress();
  LeaseDesk other({.samples_per_epoch = 320, .batch_size = 10, .data_epochs = 1},
                  [](MemberId, const HubMessage&) {});
  ASSERT_TRUE(other.Restore(progress).ok());
  EXPECT_EQ(other.ledger().samples_done(), done);
}

TEST_F(LeaseDeskTest, RestoreRefusesTheProgressOfALongerJob) {
  v1::JobProgress progress;
  progress.set_data_epoch(1'000'000'000'000);
  EXPECT_FALSE(desk_.Restore(progress).ok());
}

}  // namespace
}  // namespace grapevine::topology
