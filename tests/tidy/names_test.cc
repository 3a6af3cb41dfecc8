#include "tests/tidy/names.h"

#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grapevine::tidy {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(NamesTest, ThisProjectNamesThings) { EXPECT_THAT(CheckNames(ThisProject()), IsEmpty()); }
TEST(NamesTest, ThisProjectNamesEachFileOnce) {
  EXPECT_THAT(CheckUniqueFiles(ThisProject()), IsEmpty());
}
TEST(NamesTest, ThisProjectSaysWhoMayCallEachClass) {
  EXPECT_THAT(CheckThreadSentences(ThisProject()), IsEmpty());
}

TEST(NamesTest, BannedWordsAreFoundInFileNames) {
  EXPECT_THAT(CheckNames({{"operator/graph/graph_utils.h", ""}}),
              ElementsAre("operator/graph/graph_utils.h:1: 'utils' names nothing"));
  EXPECT_THAT(CheckNames({{"worker/data.cc", ""}}), ElementsAre(HasSubstr("'data'")));
  EXPECT_THAT(CheckNames({{"worker/dataset.cc", ""}, {"worker/data_epoch.cc", ""}}), IsEmpty());
}

TEST(NamesTest, BannedWordsAreFoundInTypes) {
  EXPECT_THAT(CheckNames({{"worker/a.h", "\n  struct PeerInfo {\n"}}),
              ElementsAre("worker/a.h:2: 'info' in PeerInfo names nothing"));
  EXPECT_THAT(CheckNames({{"worker/a.h", "class ABSL_LOCKABLE PeerManager final : public A {\n"}}),
              ElementsAre(HasSubstr("'manager' in PeerManager")));
  EXPECT_THAT(CheckNames({{"worker/a.h", "enum class HandlerKind { kA };\n"}}),
              ElementsAre(HasSubstr("'handler' in HandlerKind")));
  EXPECT_THAT(CheckNames({{"worker/a.h", "class ServerContext;\nServerContext c;\n"}}), IsEmpty());
}

TEST(NamesTest, TheIOfAnInterfaceIsFound) {
  EXPECT_THAT(CheckNames({{"worker/a.h", "class ITransport {\n"}}),
              ElementsAre(HasSubstr("the plain noun")));
  EXPECT_THAT(CheckNames({{"worker/a.h", "class Interval {\nclass IO {\n"}}), IsEmpty());
}

TEST(NamesTest, AFileNameIsThereOnce) {
  EXPECT_THAT(CheckUniqueFiles({{"operator/a/x.h", ""}, {"worker/b/x.h", ""}}),
              ElementsAre("worker/b/x.h:1: operator/a/x.h is there already"));
  EXPECT_THAT(CheckUniqueFiles({{"operator/main.cc", ""},
                                {"worker/main.cc", ""},
                                {"worker/backend/onednn/linear.cc", ""},
                                {"worker/backend/reference/linear.cc", ""}}),
              IsEmpty());
}

TEST(NamesTest, AClassThatDoesNotSayWhoMayCallItIsFound) {
  EXPECT_THAT(CheckThreadSentences({{"worker/a.h", "// A thing.\nclass A {\n};\n"}}),
              ElementsAre("worker/a.h:2: A does not say which threads may call it"));
  EXPECT_THAT(CheckThreadSentences({{"worker/a.h", "// Thread-safe.\n\nclass A {\n};\n"}}),
              ElementsAre(HasSubstr("which threads")));
}

TEST(NamesTest, EachOfTheFourSentencesWillDo) {
  for (const char* sentence :
       {"Immutable.", "Thread-compatible.", "Thread-safe.", "Lives on thread gossip."}) {
    const std::string text =
        fmt::format("// A thing.\n// {}\ntemplate <typename T>\nclass A {{\n}};\n", sentence);
    EXPECT_THAT(CheckThreadSentences({{"worker/a.h", text}}), IsEmpty());
  }
  EXPECT_THAT(CheckThreadSentences({{"worker/a.h", "class A;\nstruct B {\n};\n"}}), IsEmpty());
}

}  // namespace
}  // namespace grapevine::tidy
