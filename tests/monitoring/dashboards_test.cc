// What each dashboard and each panel must have, beyond being of Grafana's types.

#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/monitoring/monitoring_files.h"

namespace grapevine::monitoring {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;

std::vector<json> Dashboards() {
  std::vector<json> dashboards;
  for (const auto& path : FilesOf("monitoring/dashboards", ".json"))
    dashboards.push_back(Load(path));
  return dashboards;
}

TEST(Dashboards, EachLeadsToTheOthersAndKeepsTheJob) {
  std::set<std::string> uids;
  for (const json& board : Dashboards()) {
    uids.insert(board.at("uid").get<std::string>());
    EXPECT_EQ(board.at("tags"), json({"grapevine"}));
    const json& link = board.at("links").at(0);
    EXPECT_EQ(link.at("tags"), board.at("tags"));
    EXPECT_EQ(link.at("includeVars"), true);
    EXPECT_EQ(board.at("templating").at("list").at(0).at("type"), "datasource");
  }
  EXPECT_THAT(uids, ElementsAre("grapevine-jobs", "grapevine-operator", "grapevine-training"));
}

TEST(Dashboards, EachPanelHasADescriptionAUnitAndAPlaceOfItsOwn) {
  for (const json& board : Dashboards()) {
    std::set<int> ids;
    std::set<std::pair<int, int>> taken;  // cells
    for (const json& panel : board.at("panels")) {
      const std::string title = panel.at("title");
      EXPECT_TRUE(ids.insert(panel.at("id").get<int>()).second) << title;
      const json& place = panel.at("gridPos");
      const int left = place.at("x"), top = place.at("y");
      const int right = left + place.at("w").get<int>(), bottom = top + place.at("h").get<int>();
      EXPECT_LE(right, 24) << title;
      for (int x = left; x < right; ++x) {
        for (int y = top; y < bottom; ++y) {
          EXPECT_TRUE(taken.emplace(x, y).second) << title << " covers another";
        }
      }
      if (panel.at("type") == "row") continue;
      EXPECT_GT(panel.value("description", "").size(), 10u) << title;
      EXPECT_NE(panel.at("fieldConfig").at("defaults").value("unit", ""), "") << title;
      EXPECT_EQ(panel.at("datasource").at("uid"), "${datasource}") << title;
      for (const json& target : panel.at("targets")) {
        EXPECT_EQ(target.at("datasource"), panel.at("datasource")) << title;
      }
    }
  }
}

}  // namespace
}  // namespace grapevine::monitoring
