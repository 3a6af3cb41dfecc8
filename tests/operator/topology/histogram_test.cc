#include "operator/topology/histogram.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grapevine::topology {
namespace {

using ::testing::ElementsAre;

constexpr double kBounds[] = {1, 10};

TEST(Histogram, CountsAValueUpToTheFirstBoundThatHoldsIt) {
  Histogram histogram(kBounds);
  EXPECT_THAT(histogram.counts(), ElementsAre(0, 0, 0));
  for (const double value : {0.0, 1.0, 1.5, 10.0, 11.0, 1e9}) histogram.Add(value);
  EXPECT_THAT(histogram.counts(), ElementsAre(2, 2, 2));
  EXPECT_EQ(histogram.sum(), 0.0 + 1 + 1.5 + 10 + 11 + 1e9);
}

}  // namespace
}  // namespace grapevine::topology
