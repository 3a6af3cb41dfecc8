#include "operator/topology/final_evaluation.h"

#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace grapevine::topology {
namespace {

using Slice = FinalEvaluation::Slice;

TEST(FinalEvaluation, TheSlicesAreTheWholeTestSetAndNoneIsTooSmall) {
  for (int64_t samples : {1, 63, 64, 65, 1000, 10'000}) {
    for (MemberId members : {1, 2, 7}) {
      std::set<MemberId> all;
      for (MemberId id = 1; id <= members; ++id) all.insert(id);
      FinalEvaluation evaluation(1, samples, all);
      int64_t next = 0;
      while (auto slice = evaluation.Take(1)) {
        EXPECT_EQ(slice->first, next);
        next = slice->end;
        EXPECT_GE(slice->end - slice->first, std::min(samples, FinalEvaluation::kLeastSlice));
        EXPECT_TRUE(evaluation.Answer(1, 0, 0));
      }
      EXPECT_EQ(next, samples) << samples << " " << members;
      EXPECT_TRUE(evaluation.finished());
    }
  }
}

TEST(FinalEvaluation, OneAloneTakesItWhole) {
  FinalEvaluation evaluation(3, 10'000, {3});
  EXPECT_EQ(evaluation.Take(3), (Slice{0, 10'000}));
  EXPECT_EQ(evaluation.Take(3), std::nullopt) << "it has one";
  EXPECT_EQ(evaluation.Take(4), std::nullopt) << "it takes no part";
  EXPECT_TRUE(evaluation.Answer(3, 5000, 9700));
  EXPECT_TRUE(evaluation.finished());
  EXPECT_DOUBLE_EQ(evaluation.loss(), 0.5);
  EXPECT_DOUBLE_EQ(evaluation.accuracy(), 0.97);
}

TEST(FinalEvaluation, TheFinalizerMakesSureAndTheFirstAnswerCounts) {
  for (const bool peer_first : {true, false}) {
    FinalEvaluation evaluation(1, 128, {1, 2});
    ASSERT_EQ(evaluation.Take(2), (Slice{0, 64}));
    ASSERT_EQ(evaluation.Take(1), (Slice{64, 128}));
    ASSERT_TRUE(evaluation.Answer(1, 1, 60));
    ASSERT_EQ(evaluation.Take(1), (Slice{0, 64})) << "member 2 is still about it";
    ASSERT_TRUE(evaluation.Answer(peer_first ? 2 : 1, 1, 50));
    EXPECT_TRUE(evaluation.finished());
    ASSERT_TRUE(evaluation.Answer(peer_first ? 1 : 2, 1, 50));
    EXPECT_DOUBLE_EQ(evaluation.accuracy(), 110.0 / 128);
    EXPECT_EQ(evaluation.Take(1), std::nullopt);
    EXPECT_EQ(evaluation.Take(2), std::nullopt);
  }
}

TEST(FinalEvaluation, WhatALostMemberTookIsFreeForAll) {
  FinalEvaluation evaluation(1, 192, {1, 2, 3});
  const auto lost = evaluation.Take(2);
  ASSERT_TRUE(evaluation.Take(3) && evaluation.Take(1));
  EXPECT_TRUE(evaluation.Answer(3, 0, 0));
  EXPECT_EQ(evaluation.Take(3), std::nullopt);
  evaluation.Remove(2);
  EXPECT_EQ(evaluation.Take(2), std::nullopt);
  EXPECT_EQ(evaluation.Take(3), lost);
  EXPECT_FALSE(evaluation.Answer(2, 1, 1)) << "too late";
}

TEST(FinalEvaluation, WhatTheFinalizerDoublesIsNotFreeWhenTheOtherIsLost) {
  FinalEvaluation evaluation(1, 192, {1, 2, 3});
  const auto taken = evaluation.Take(2);
  ASSERT_TRUE(evaluation.Take(3));
  EXPECT_TRUE(evaluation.Answer(3, 0, 0));
  ASSERT_TRUE(evaluation.Take(3));
  EXPECT_TRUE(evaluation.Answer(3, 0, 0));
  EXPECT_EQ(evaluation.Take(1), taken);
  evaluation.Remove(2);
  EXPECT_EQ(evaluation.Take(3), std::nullopt);
  EXPECT_TRUE(evaluation.Answer(1, 0, 0));
  EXPECT_TRUE(evaluation.finished());
}

// Members take, answer, hang and are lost in any order; the finalizer alone goes on in the end.
TEST(FinalEvaluation, EverySampleCountsOnceWhoeverIsLost) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    const int64_t samples = 1 + random() % 3000;
    std::set<MemberId> members;
    for (MemberId id = 1; id <= 1 + random() % 6; ++id) members.insert(id);
    FinalEvaluation evaluation(1, samples, members);
    const auto answer = [&](MemberId id) {
      if (auto slice = evaluation.TakenBy(id)) {
        const auto n = slice->end - slice->first;
        ASSERT_TRUE(evaluation.Answer(id, static_cast<double>(n), n));
      }
    };
    for (int step = 0; step < 40; ++step) {
      const MemberId id = 1 + random() % members.size();
      switch (random() % 8) {
        case 0:
          if (id != 1) evaluation.Remove(id);
          break;
        case 1:
        case 2:
          answer(id);
          break;
        default:
          evaluation.Take(id);
      }
    }
    answer(1);
    while (evaluation.Take(1)) answer(1);
    ASSERT_TRUE(evaluation.finished());
    EXPECT_DOUBLE_EQ(evaluation.accuracy(), 1);
    EXPECT_DOUBLE_EQ(evaluation.loss(), 1);
  }
}

}  // namespace
}  // namespace grapevine::topology
