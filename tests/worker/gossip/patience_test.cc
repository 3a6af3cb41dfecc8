#include "worker/gossip/patience.h"

#include "gtest/gtest.h"

namespace grapevine::gossip {
namespace {

TEST(Patience, BeginsAtTheLeastAndDoublesUpToTheMost) {
  Patience patience;
  EXPECT_EQ(patience.deadline(), 1s);
  for (Duration expected :
       {Duration(2s), Duration(4s), Duration(8s), Duration(10s), Duration(10s)}) {
    patience.OnTimeout();
    EXPECT_EQ(patience.deadline(), expected);
  }
}

TEST(Patience, SuccessBringsItBack) {
  Patience patience;
  for (int i = 0; i < 20; ++i) patience.OnTimeout();
  for (int i = 0; i < 5; ++i) patience.OnCompleted(1ms);
  EXPECT_EQ(patience.deadline(), 1s);
}

TEST(Patience, FollowsWhatExchangesTake) {
  Patience patience;
  patience.OnCompleted(2s);
  EXPECT_EQ(patience.deadline(), 4s);
  patience.OnCompleted(1ms);
  EXPECT_GT(patience.deadline(), 3s);  // one quick one does not undo it
  for (int i = 0; i < 50; ++i) patience.OnCompleted(1ms);
  EXPECT_EQ(patience.deadline(), 1s);
  patience.OnCompleted(3600s);
  EXPECT_EQ(patience.deadline(), 10s);
}

}  // namespace
}  // namespace grapevine::gossip
