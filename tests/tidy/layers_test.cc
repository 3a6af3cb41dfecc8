#include "tests/tidy/layers.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grapevine::tidy {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Findings IncludeOf(const std::string& from, const std::string& to) {
  return CheckIncludes({{from, "#pragma once\n\n#include \"" + to + "\"\n"}});
}

TEST(LayersTest, ThisProjectIncludesDownward) {
  EXPECT_THAT(CheckIncludes(ThisProject()), IsEmpty());
}
TEST(LayersTest, ThisProjectLinksWhatItIncludes) {
  EXPECT_THAT(CheckLinks(ThisProject()), IsEmpty());
}
TEST(LayersTest, ThisProjectKeepsTheOutsideInItsRooms) {
  EXPECT_THAT(CheckOutside(ThisProject()), IsEmpty());
}

TEST(LayersTest, LowerFloorsAndTheOwnFolderMayBeIncluded) {
  EXPECT_THAT(IncludeOf("operator/topology/hub.h", "operator/graph/graph.h"), IsEmpty());
  EXPECT_THAT(IncludeOf("operator/graph/planner.h", "operator/graph/graph.h"), IsEmpty());
  EXPECT_THAT(IncludeOf("worker/train/trainer.cc", "worker/nn/model.h"), IsEmpty());
  EXPECT_THAT(IncludeOf("worker/train/trainer.cc", "vector"), IsEmpty());
}

TEST(LayersTest, HigherFloorsMayNot) {
  EXPECT_THAT(IncludeOf("operator/graph/graph.h", "operator/topology/hub.h"),
              ElementsAre("operator/graph/graph.h:3: includes operator/topology/hub.h: "
                          "F1 must not look up to F2"));
}

TEST(LayersTest, TheOwnFloorIsGrantedOneByOne) {
  EXPECT_THAT(IncludeOf("operator/graph/planner.cc", "operator/progress/leases.h"),
              ElementsAre(HasSubstr("not granted on F1")));
  EXPECT_THAT(IncludeOf("worker/nn/layer.h", "worker/backend/backend.h"), IsEmpty());
}

TEST(LayersTest, AdaptersNeverIncludeEachOther) {
  EXPECT_THAT(IncludeOf("operator/grpc/service.h", "operator/metrics/exposer.h"),
              ElementsAre(HasSubstr("adapters never include each other")));
}

TEST(LayersTest, OnlyTheAssemblyNamesAdapters) {
  EXPECT_THAT(IncludeOf("operator/main.cc", "operator/metrics/exposer.h"), IsEmpty());
  EXPECT_THAT(IncludeOf("worker/train/trainer.h", "worker/backend/onednn/memory.h"),
              ElementsAre(HasSubstr("F2 must not look up to F3")));
}

TEST(LayersTest, OperatorAndWorkerMeetInApiAndBaseAlone) {
  EXPECT_THAT(IncludeOf("worker/control/client.h", "operator/api/member.h"), IsEmpty());
  EXPECT_THAT(IncludeOf("worker/main.cc", "operator/graph/graph.h"),
              ElementsAre(HasSubstr("only operator/api and operator/base")));
  EXPECT_THAT(IncludeOf("operator/main.cc", "worker/nn/model.h"),
              ElementsAre(HasSubstr("nothing of the worker")));
}

TEST(LayersTest, TheDriverIsAFloorAboveTheEngineThatItFeeds) {
  EXPECT_THAT(IncludeOf("worker/gossip/driver.h", "worker/store/parameter_store.h"), IsEmpty());
  EXPECT_THAT(IncludeOf("worker/gossip/engine.h", "worker/store/parameter_store.h"),
              ElementsAre(HasSubstr("F1 must not look up to F2")));
}

TEST(LayersTest, AFolderWithoutARoomIsFound) {
  EXPECT_THAT(IncludeOf("operator/attic/a.h", "vector"), ElementsAre(HasSubstr("no room")));
  EXPECT_THAT(IncludeOf("operator/graph/a.h", "worker/attic/b.h"),
              ElementsAre(HasSubstr("no room")));
}

TEST(LayersTest, AMissingAndANeedlessLinkAreFound) {
  const SourceTree tree{
      {"operator/graph/graph.cc", "#include \"operator/base/check.h\"\n"},
      {"operator/graph/CMakeLists.txt",
       "# operator_base\ngrapevine_library(operator_graph\n  SOURCES graph.cc DEPS "
       "operator_api_proto)\n"},
  };
  EXPECT_THAT(
      CheckLinks(tree),
      ElementsAre("operator/graph/CMakeLists.txt:1: includes operator/base, links it not",
                  "operator/graph/CMakeLists.txt:1: links operator/api, includes nothing of it"));
}

TEST(LayersTest, AFolderWithoutATargetIsFound) {
  EXPECT_THAT(CheckLinks({{"operator/graph/a.cc", "#include \"operator/base/check.h\"\n"}}),
              ElementsAre(HasSubstr("no CMakeLists.txt")));
}

TEST(LayersTest, TheOutsideStaysInItsRooms) {
  EXPECT_THAT(CheckOutside({{"operator/topology/hub.cc", "#include <grpcpp/grpcpp.h>\n"}}),
              ElementsAre("operator/topology/hub.cc:1: may not include grpcpp/grpcpp.h"));
  EXPECT_THAT(CheckOutside({{"operator/grpc/service.cc", "#include <grpcpp/grpcpp.h>\n"}}),
              IsEmpty());
  EXPECT_THAT(CheckOutside({{"operator/base/log.h", "#include <grpcpp/grpcpp.h>\n"}}),
              ElementsAre(HasSubstr("may not include")));
}

TEST(LayersTest, PureLogicHasNoThreadsFilesOrLogs) {
  EXPECT_THAT(CheckOutside({{"worker/gossip/engine.cc", "#include <thread>\n"}}),
              ElementsAre("worker/gossip/engine.cc:1: pure logic includes thread"));
  EXPECT_THAT(CheckOutside({{"worker/gossip/driver.cc", "#include <thread>\n"}}), IsEmpty());
}

}  // namespace
}  // namespace grapevine::tidy
