#include "operator/base/check.h"

#include "gtest/gtest.h"

namespace {

TEST(CheckDeathTest, NamesTheFileAndTheConditionThatFailed) {
  EXPECT_DEATH(GRAPEVINE_CHECK(1 + 1 == 3), "check_test.cc:.*check failed: 1 \\+ 1 == 3");
}

TEST(CheckTest, EvaluatesItsConditionOnceInEveryBuild) {
  int evaluated = 0;
  GRAPEVINE_CHECK(++evaluated == 1);
  EXPECT_EQ(evaluated, 1);
}

TEST(CheckTest, IsOneStatement) {
  if (true)
    GRAPEVINE_CHECK(true);
  else
    FAIL() << "the else belongs to the if";
}

}  // namespace
