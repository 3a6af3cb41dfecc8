#include "tests/tidy/sizes.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grapevine::tidy {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::string Repeated(const std::string& line, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += line;
  return text;
}

TEST(SizesTest, ThisProjectKeepsItsFilesAndLinesShort) {
  EXPECT_THAT(CheckSizes(ThisProject()), IsEmpty());
}
TEST(SizesTest, ThisProjectKeepsItsFunctionsShort) {
  EXPECT_THAT(CheckFunctions(ThisProject()), IsEmpty());
}

TEST(SizesTest, EachKindOfFileHasItsOwnLimit) {
  EXPECT_THAT(CheckSizes({{"operator/a.cc", Repeated("\n", 600)},
                          {"operator/a.h", Repeated("\n", 250)},
                          {"tests/a_test.cc", Repeated("\n", 700)},
                          {"README.md", Repeated("\n", 9000)}}),
              IsEmpty());
  EXPECT_THAT(
      CheckSizes({{"operator/a.cc", Repeated("\n", 601)},
                  {"operator/a.h", Repeated("\n", 251)},
                  {"tests/a_test.cc", Repeated("\n", 701)}}),
      ElementsAre("operator/a.cc:601: more than 600 lines", "operator/a.h:251: more than 250 lines",
                  "tests/a_test.cc:701: more than 700 lines"));
}

TEST(SizesTest, ColumnsAreCharactersNotBytes) {
  EXPECT_THAT(CheckSizes({{"worker/a.cc", Repeated("ü", 100) + "\n"}}), IsEmpty());
  EXPECT_THAT(CheckSizes({{"worker/a.cc", "\n" + Repeated("ü", 101) + "\n"}}),
              ElementsAre("worker/a.cc:2: more than 100 columns"));
}

TEST(SizesTest, LongFunctionsAreFound) {
  const std::string body = Repeated("  if (x) {\n    y();\n  }\n", 33);
  EXPECT_THAT(CheckFunctions({{"worker/a.cc", "void F() {\n" + body + "}\n"}}),
              ElementsAre("worker/a.cc:1: a function of 101 lines"));
  EXPECT_THAT(CheckFunctions({{"worker/a.cc", "void F() {\n" + body.substr(11) + "}\n"}}),
              IsEmpty());
}

TEST(SizesTest, AHeadOverSeveralLinesCountsFromItsFirst) {
  const std::string body = Repeated("  y();\n", 98);
  EXPECT_THAT(CheckFunctions({{"worker/a.cc", "void F(int a,\n       int b) {\n" + body + "}\n"}}),
              ElementsAre("worker/a.cc:1: a function of 101 lines"));
}

TEST(SizesTest, MethodsWithinAClassAreFunctionsTheClassIsNot) {
  const std::string method = "  int F() const {\n" + Repeated("    y();\n", 40) + "  }\n";
  EXPECT_THAT(CheckFunctions({{"worker/a.h", "class A {\n" + Repeated(method, 3) + "};\n"}}),
              IsEmpty());
  const std::string long_method = "  int F() const {\n" + Repeated("    y();\n", 99) + "  }\n";
  EXPECT_THAT(CheckFunctions({{"worker/a.h", "class A {\n" + long_method + "};\n"}}),
              ElementsAre("worker/a.h:2: a function of 101 lines"));
}

TEST(SizesTest, ALambdaWithinAStatementIsNoFunctionOfItsOwn) {
  const std::string lambda = "  Call([](int a) {\n" + Repeated("    y();\n", 60) + "  });\n";
  EXPECT_THAT(CheckFunctions({{"worker/a.cc", "void F() {\n" + lambda + "}\n\nint b;\n"}}),
              IsEmpty());
  EXPECT_THAT(CheckFunctions({{"worker/a.cc", "void F() {\n" + lambda + lambda + "}\n"}}),
              ElementsAre("worker/a.cc:1: a function of 126 lines"));
}

}  // namespace
}  // namespace grapevine::tidy
