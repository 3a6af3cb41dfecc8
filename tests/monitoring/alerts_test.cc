// Each alert says what to do about it, and a test of tests/monitoring/alerts/ makes it fire.

#include <regex>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/monitoring/monitoring_files.h"

namespace grapevine::monitoring {
namespace {

using nlohmann::json;

std::vector<json> Alerts() {
  std::vector<json> alerts;
  for (const auto& path : FilesOf("monitoring/alerts", ".yaml")) {
    const json file = Load(path);
    for (const json& group : file.at("groups")) {
      for (const json& rule : group.at("rules")) alerts.push_back(rule);
    }
  }
  return alerts;
}

TEST(Alerts, EachSaysWhatItMeansAndWhatToDo) {
  for (const json& alert : Alerts()) {
    const std::string name = alert.at("alert");
    EXPECT_TRUE(name.starts_with("Grapevine")) << name;
    EXPECT_TRUE(alert.contains("for")) << name;
    const std::string severity = alert.at("labels").value("severity", "");
    EXPECT_TRUE(severity == "warning" || severity == "critical") << name;
    for (const char* text : {"summary", "description", "runbook"}) {
      EXPECT_GT(alert.at("annotations").value(text, "").size(), 20u) << name << " " << text;
    }
  }
}

TEST(Alerts, EachFiresInATest) {
  static const std::regex kFiring(R"re(ALERTS\{alertname="(\w+)", alertstate="firing")re");
  std::set<std::string> fired, named;
  for (const auto& path : FilesOf("tests/monitoring/alerts", ".yaml")) {
    const json file = Load(path);
    for (const json& test : file.at("tests")) {
      for (const json& query : test.at("promql_expr_test")) {
        for (const json& sample : query.at("exp_samples")) {
          const std::string labels = sample.at("labels");
          std::smatch alert;
          if (std::regex_search(labels, alert, kFiring)) fired.insert(alert[1]);
        }
      }
    }
  }
  for (const json& alert : Alerts()) named.insert(alert.at("alert").get<std::string>());
  EXPECT_EQ(fired, named);
}

}  // namespace
}  // namespace grapevine::monitoring
