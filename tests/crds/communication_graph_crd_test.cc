#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/api/communication_graph.h"
#include "tests/cluster/shared_control_plane.h"

namespace grapevine {
namespace {

using cluster::ControlPlane;
using cluster::SharedControlPlane;
using nlohmann::json;
using ::testing::HasSubstr;

class CommunicationGraphCrdTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto name_space = cluster_.NewNamespace();
    ASSERT_TRUE(name_space.ok()) << name_space.status();
    name_space_ = *name_space;
  }

  std::string Kubectl(std::vector<std::string> arguments, const std::string& input = "") {
    arguments.insert(arguments.end(), {"--namespace", name_space_});
    const auto result = cluster_.Kubectl(arguments, input);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.value_or("");
  }

  ControlPlane& cluster_ = SharedControlPlane();
  std::string name_space_;
};

TEST_F(CommunicationGraphCrdTest, TakesAndGivesBackAllThatTheOperatorWrites) {
  const api::CommunicationGraph graph{
      .metadata = {.name = "digits", .name_space = name_space_},
      .epoch = (uint64_t{1} << 53) - 1,
      .last_epoch = (uint64_t{1} << 53) - 1,
      .last_member = 8,
      .members = {{4, "digits-0-0", "[fd00::1]:7070", api::Side::kActive, "2024-05-01T09:30:00Z"},
                  {7, "digits-1-3", "10.0.0.2:7070", api::Side::kPassive, "2024-05-01T09:31:00Z"}},
      .edges = {{4, 7}},
      .spectral_gap = 1e-7,
      .reason = "member 7 joined",
      .progress =
          api::GraphProgress{.samples = 12'345, .data_epoch = 3, .done = {{3, 0, 17}, {4, 2, 9}}}};
  const json written = ToJson(graph);
  Kubectl({"create"}, written.dump());
  Kubectl({"patch", "cgraph", "digits", "--subresource=status", "--type=merge", "-p",
           json({{"status", written.at("status")}}).dump()});
  const json given = json::parse(Kubectl({"get", "cgraph", "digits", "-o", "json"}));
  EXPECT_EQ(given.at("status"), written.at("status"));

  const std::string table = Kubectl({"get", "cgraph"});
  EXPECT_THAT(table, HasSubstr("EPOCH"));
  EXPECT_THAT(table, HasSubstr("9007199254740991"));
  EXPECT_THAT(table, HasSubstr("member 7 joined"));
}

TEST_F(CommunicationGraphCrdTest, RefusesAnEdgeThatJoinsNoTwoMembers) {
  json graph =
      ToJson(api::CommunicationGraph{.metadata = {.name = "digits", .name_space = name_space_}});
  Kubectl({"create"}, graph.dump());
  graph["status"]["edges"] = {{1}};
  const auto result = cluster_.Kubectl({"patch", "cgraph", "digits", "--namespace", name_space_,
                                        "--subresource=status", "--type=merge", "-p",
                                        json({{"status", graph["status"]}}).dump()});
  ASSERT_FALSE(result.ok());
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("status.edges[0]"));
}

}  // namespace
}  // namespace grapevine
