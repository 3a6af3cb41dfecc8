#include "tests/tidy/files.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grapevine::tidy {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(FilesTest, ThisProjectHasOnePragmaOnceInEachHeader) {
  EXPECT_THAT(CheckPragmas(ThisProject()), IsEmpty());
}
TEST(FilesTest, ThisProjectBuildsEverySource) { EXPECT_THAT(CheckBuilt(ThisProject()), IsEmpty()); }
TEST(FilesTest, ThisProjectUsesEveryHeader) {
  EXPECT_THAT(CheckHeadersUsed(ThisProject()), IsEmpty());
}
TEST(FilesTest, ThisProjectTestsEverySource) {
  EXPECT_THAT(CheckMirrors(ThisProject()), IsEmpty());
}
TEST(FilesTest, ThisProjectLeavesNothingForLater) {
  EXPECT_THAT(CheckFinished(ThisProject()), IsEmpty());
}

TEST(FilesTest, TheProjectIsThere) {
  EXPECT_TRUE(ThisProject().contains("operator/base/clock.h"));
  EXPECT_TRUE(ThisProject().contains("tests/tidy/CMakeLists.txt"));
  EXPECT_TRUE(ThisProject().contains("CMakeLists.txt"));
}

TEST(FilesTest, MissingLateAndDoublePragmasAreFound) {
  EXPECT_THAT(CheckPragmas({{"a.h", "#pragma once\n\nint a;\n"}}), IsEmpty());
  for (const char* text :
       {"", "int a;\n", "int a;\n#pragma once\n", "#pragma once\n#pragma once\n"}) {
    EXPECT_THAT(CheckPragmas({{"a.h", text}}), ElementsAre(HasSubstr("a.h:1:"))) << text;
  }
}

TEST(FilesTest, ASourceThatNothingBuildsIsFound) {
  SourceTree tree{{"CMakeLists.txt", "add_subdirectory(operator)\n"},
                  {"operator/CMakeLists.txt", "grapevine_library(operator_a SOURCES a.cc)\n"},
                  {"operator/a.cc", ""}};
  EXPECT_THAT(CheckBuilt(tree), IsEmpty());
  tree["operator/b_test.cc"] = "";
  tree["operator/CMakeLists.txt"] += "# grapevine_test(b SOURCES b_test.cc)\n";
  EXPECT_THAT(CheckBuilt(tree), ElementsAre("operator/b_test.cc:1: no CMakeLists.txt builds it"));
}

TEST(FilesTest, AFolderThatNothingReachesIsFound) {
  EXPECT_THAT(CheckBuilt({{"CMakeLists.txt", "add_subdirectory(worker)\n"},
                          {"operator/CMakeLists.txt", ""},
                          {"worker/CMakeLists.txt", ""}}),
              ElementsAre("operator/CMakeLists.txt:1: no add_subdirectory reaches it"));
}

TEST(FilesTest, AHeaderThatOnlyItsOwnSourceAndTestsIncludeIsFound) {
  SourceTree tree{{"operator/a/x.h", ""},
                  {"operator/a/x.cc", "#include \"operator/a/x.h\"\n"},
                  {"tests/operator/a/x_test.cc", "#include \"operator/a/x.h\"\n"}};
  EXPECT_THAT(CheckHeadersUsed(tree), ElementsAre("operator/a/x.h:1: nothing uses it"));
  tree["operator/main.cc"] = "#include \"operator/a/x.h\"\n";
  EXPECT_THAT(CheckHeadersUsed(tree), IsEmpty());
}

TEST(FilesTest, ATestHeaderNeedsATestThatIncludesIt) {
  SourceTree tree{{"tests/a/fake.h", ""}};
  EXPECT_THAT(CheckHeadersUsed(tree), ElementsAre(HasSubstr("tests/a/fake.h")));
  tree["tests/a/x_test.cc"] = "#include \"tests/a/fake.h\"\n";
  EXPECT_THAT(CheckHeadersUsed(tree), IsEmpty());
}

TEST(FilesTest, ASourceWithoutItsMirrorIsFound) {
  SourceTree tree{{"operator/graph/planner.cc", ""}, {"operator/local/adapter.cc", ""}};
  EXPECT_THAT(CheckMirrors(tree), ElementsAre("operator/graph/planner.cc:1: "
                                              "tests/operator/graph/planner_test.cc is missing"));
  tree["tests/operator/graph/planner_test.cc"] = "";
  EXPECT_THAT(CheckMirrors(tree), IsEmpty());
}

TEST(FilesTest, ATestOfTheFolderOrASuiteThatIncludesTheHeaderIsAMirrorToo) {
  const std::string text = "#include \"operator/graph/planner.h\"\n";
  SourceTree tree{{"operator/graph/planner.cc", ""},
                  {"operator/graph/planner.h", ""},
                  {"tests/operator/other/a_test.cc", text}};
  EXPECT_THAT(CheckMirrors(tree), ElementsAre(HasSubstr("planner.cc")));
  tree["tests/conformance/planner_suite_test.cc"] = text;
  EXPECT_THAT(CheckMirrors(tree), IsEmpty());
}

TEST(FilesTest, SourcesThatShareAHeaderAreTestedThroughOneOfTheirFolder) {
  SourceTree tree{{"operator/graph/ring.cc", ""}, {"operator/graph/family.h", ""}};
  EXPECT_THAT(CheckMirrors(tree), ElementsAre(HasSubstr("ring.cc")));
  tree["tests/operator/graph/family_test.cc"] = "#include \"operator/graph/family.h\"\n";
  EXPECT_THAT(CheckMirrors(tree), IsEmpty());
}

TEST(FilesTest, WordsForLaterAreFound) {
  EXPECT_THAT(CheckFinished({{"a.cc", std::string("\n// TO") + "DO: think\n"}}),
              ElementsAre(HasSubstr("a.cc:2:")));
  EXPECT_THAT(CheckFinished({{"a.cc", std::string("// TO") + "DO(me) think\n"}}),
              ElementsAre(HasSubstr("a.cc:1:")));
  EXPECT_THAT(CheckFinished({{"a.cc", "int todo;\n"}}), IsEmpty());
}

}  // namespace
}  // namespace grapevine::tidy
