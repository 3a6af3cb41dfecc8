#include "operator/console/report.h"

#include <cmath>
#include <filesystem>
#include <fstream>

#include "gtest/gtest.h"

namespace grapevine::console {
namespace {

Outcome Example() {
  Outcome outcome{.job = "digits", .uid = "u1", .state = "Succeeded", .seconds = 12.5};
  outcome.training_seconds = 10;
  outcome.events.push_back({"kill=1", 3.5, 0.01, 0.002});
  outcome.events.push_back({"99%:scale=6", std::nullopt, std::nullopt, std::nullopt});
  outcome.stats.samples = 2000;
  outcome.stats.joined = 5;
  outcome.stats.lost = 1;
  outcome.stats.exchanges.completed = 4;
  outcome.stats.exchanges.seconds[10] = 4;
  outcome.stats.exchanges.seconds_max = 0.5;
  outcome.stats.members.push_back({.id = 1, .pod = "digits-0-0", .steps = 100});
  return outcome;
}

TEST(Report, HoldsWhatWasAskedFor) {
  const nlohmann::json report = ReportJson(Example());
  for (const char* field : {"state", "seconds", "data_epochs", "samples", "samples_per_second",
                            "accuracy", "loss", "members", "exchanges", "events",
                            "consensus_distance", "graph", "final_checkpoint", "per_member"}) {
    EXPECT_TRUE(report.contains(field)) << field;
  }
  EXPECT_EQ(report["samples_per_second"], 200);
  EXPECT_EQ(report["members"]["joined"], 5);
  EXPECT_EQ(report["exchanges"]["completed"], 4);
  EXPECT_EQ(report["exchanges"]["seconds_p50"], api::ExchangeBoundSeconds(10));
  EXPECT_EQ(report["per_member"][0]["steps"], 100);
}

TEST(Report, SaysWhatIsDoubtful) {
  Outcome outcome = Example();
  EXPECT_EQ(ReportJson(outcome)["warning"], "");
  outcome.warning = "the loss is high";
  EXPECT_EQ(ReportJson(outcome)["warning"], "the loss is high");
}

TEST(Report, ARateIsOfWhatThisRunTrained) {
  Outcome outcome = Example();
  outcome.stats.samples_before = 1500;
  EXPECT_EQ(ReportJson(outcome)["samples"], 2000);
  EXPECT_EQ(ReportJson(outcome)["samples_per_second"], 50);
}

TEST(Report, ListsEventsThatNeverFired) {
  const nlohmann::json events = ReportJson(Example())["events"];
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0]["fired"], true);
  EXPECT_EQ(events[0]["at"], 3.5);
  EXPECT_EQ(events[1]["fired"], false);
  EXPECT_TRUE(events[1]["at"].is_null());
}

TEST(Report, PrefersTheFinalResultToTheLastEvaluation) {
  Outcome outcome = Example();
  EXPECT_TRUE(ReportJson(outcome)["accuracy"].is_null());
  outcome.stats.evaluations.push_back({.loss = 0.5, .accuracy = 0.9});
  EXPECT_EQ(ReportJson(outcome)["accuracy"], 0.9);
  outcome.stats.result = topology::Evaluation{.loss = 0.2, .accuracy = 0.97, .samples = 10000};
  EXPECT_EQ(ReportJson(outcome)["accuracy"], 0.97);
  EXPECT_EQ(ReportJson(outcome)["test_samples"], 10000);
}

TEST(Report, WritesNumbersThatAreNoneAsNull) {
  Outcome outcome = Example();
  outcome.training_seconds = 0;
  outcome.stats.consensus_distance = std::nan("");
  const nlohmann::json report = ReportJson(outcome);
  EXPECT_TRUE(report["consensus_distance"].is_null());
  EXPECT_EQ(report["samples_per_second"], 0);
}

TEST(WriteReport, ReplacesTheFileOrSaysWhyNot) {
  const auto path = std::filesystem::path(testing::TempDir()) / "grapevine_report_test.json";
  ASSERT_TRUE(WriteReport(path, {{"state", "Failed"}}).ok());
  ASSERT_TRUE(WriteReport(path, {{"state", "Succeeded"}}).ok());
  std::ifstream file(path);
  EXPECT_EQ(nlohmann::json::parse(file)["state"], "Succeeded");
  std::filesystem::remove(path);
  const absl::Status status = WriteReport("/nonexistent/report.json", {});
  EXPECT_FALSE(status.ok());
  EXPECT_NE(status.message().find("/nonexistent/report.json"), std::string::npos);
}

TEST(CheckReportPath, RefusesWhatCannotBeWrittenAndLeavesNothingBehind) {
  const auto path = std::filesystem::path(testing::TempDir()) / "grapevine_report_path_test.json";
  EXPECT_TRUE(CheckReportPath(path).ok());
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_FALSE(std::filesystem::exists(path.string() + ".part"));
  for (const std::string bad : {"/nonexistent/report.json", "/dev/null", "/"}) {
    const absl::Status status = CheckReportPath(bad);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << bad;
    EXPECT_NE(status.message().find("--report " + bad + ":"), std::string::npos);
  }
}

}  // namespace
}  // namespace grapevine::console
