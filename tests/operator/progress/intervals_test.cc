#include "operator/progress/intervals.h"

#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace grapevine::progress {
namespace {

TEST(IntervalSetTest, NeighboursMelt) {
  IntervalSet set;
  set.Add({0, 3});
  set.Add({5, 8});
  EXPECT_EQ(set.ToVector().size(), 2u);
  set.Add({3, 5});
  EXPECT_EQ(set.ToVector(), (std::vector<Interval>{{0, 8}}));
  EXPECT_EQ(set.size(), 8);
}

TEST(IntervalSetTest, RemovingFromTheMiddleSplits) {
  IntervalSet set(Interval{0, 10});
  set.Remove({4, 6});
  EXPECT_EQ(set.ToVector(), (std::vector<Interval>{{0, 4}, {6, 10}}));
  set.Remove({0, 4});
  set.Remove({9, 10});
  EXPECT_EQ(set.ToVector(), (std::vector<Interval>{{6, 9}}));
}

TEST(IntervalSetTest, EmptyIntervalsChangeNothing) {
  IntervalSet set;
  set.Add({4, 4});
  set.Remove({7, 7});
  EXPECT_TRUE(set.empty());
  EXPECT_FALSE(set.Overlaps({4, 4}));
  EXPECT_TRUE(set.Covers({4, 4}));
}

TEST(IntervalSetTest, TakesTheLowestUpToTheFirstGap) {
  IntervalSet set;
  set.Add({2, 4});
  set.Add({6, 9});
  EXPECT_EQ(set.TakeLowest(5), (Interval{2, 4}));
  EXPECT_EQ(set.TakeLowest(2), (Interval{6, 8}));
  EXPECT_EQ(set.first(), (Interval{8, 9}));
}

TEST(IntervalSetTest, WithinCutsAtBothEnds) {
  IntervalSet set;
  for (const Interval interval : {Interval{2, 4}, {6, 9}, {12, 20}}) set.Add(interval);
  EXPECT_EQ(set.Within({3, 13}), (std::vector<Interval>{{3, 4}, {6, 9}, {12, 13}}));
  EXPECT_EQ(set.Within({13, 15}), (std::vector<Interval>{{13, 15}}));
  EXPECT_EQ(set.Within({4, 6}), (std::vector<Interval>{}));
  EXPECT_EQ(set.Within({0, 30}), set.ToVector());
  EXPECT_EQ(set.Within({7, 7}), (std::vector<Interval>{}));
}

// The dumb twin is a bit per integer.
TEST(IntervalSetTest, BehavesLikeBits) {
  constexpr int kSize = 60;
  std::mt19937 rng(1);
  IntervalSet set;
  std::vector<bool> bits(kSize);
  for (int step = 0; step < 20'000; ++step) {
    int64_t begin = std::uniform_int_distribution<int>(0, kSize)(rng);
    int64_t end = std::uniform_int_distribution<int>(0, kSize)(rng);
    if (begin > end) std::swap(begin, end);
    bool any = false;
    bool all = true;
    for (int64_t i = begin; i < end; ++i) {
      any |= bits[i];
      all &= bits[i];
    }
    ASSERT_EQ(set.Overlaps({begin, end}), any);
    ASSERT_EQ(set.Covers({begin, end}), all);
    if (!any) {
      set.Add({begin, end});
      for (int64_t i = begin; i < end; ++i) bits[i] = true;
    } else if (all) {
      set.Remove({begin, end});
      for (int64_t i = begin; i < end; ++i) bits[i] = false;
    }
    int64_t size = 0;
    size_t runs = 0;
    for (int i = 0; i < kSize; ++i) {
      size += bits[i];
      runs += bits[i] && (i == 0 || !bits[i - 1]);
    }
    ASSERT_EQ(set.size(), size);
    ASSERT_EQ(set.ToVector().size(), runs);
  }
}

}  // namespace
}  // namespace grapevine::progress
