#include "tests/monitoring/promql.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grapevine::monitoring {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(ParseQuery, FindsMetricsButNoFunctionsAggregationsOrNumbers) {
  const Query query = ParseQuery(
      "histogram_quantile(0.99, sum by (le, verb) (rate(a_bucket[5m]))) > 1e3 * b offset 1h");
  EXPECT_THAT(query.selectors, ElementsAre(Selector{"a_bucket", {}}, Selector{"b", {}}));
  EXPECT_THAT(query.labels, ElementsAre("le", "verb"));
}

TEST(ParseQuery, FindsTheMatchersOfEachMetric) {
  const Query query =
      ParseQuery(R"(sum(a{x="1", y=~"p|q"}) or vector(0) unless on (x) b{z != "{$n}"} == 1)");
  EXPECT_THAT(query.selectors, ElementsAre(Selector{"a", {{"x", "=", "1"}, {"y", "=~", "p|q"}}},
                                           Selector{"b", {{"z", "!=", "{$n}"}}}));
  EXPECT_THAT(query.labels, ElementsAre("x"));
}

TEST(ParseQuery, GroupsAreLabelsWhereverTheyStand) {
  const Query query = ParseQuery("max(a) without (x)\n  and on () b * ignoring (y) group_left c");
  EXPECT_THAT(query.selectors,
              ElementsAre(Selector{"a", {}}, Selector{"b", {}}, Selector{"c", {}}));
  EXPECT_THAT(query.labels, ElementsAre("x", "y"));
  EXPECT_THAT(ParseQuery("").selectors, IsEmpty());
}

}  // namespace
}  // namespace grapevine::monitoring
