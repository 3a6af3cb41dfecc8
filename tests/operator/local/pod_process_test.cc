#include "operator/local/pod_process.h"

#include <csignal>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grapevine::local {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;

json Pod(json container) {
  container["name"] = "trainer";
  return {{"metadata",
           {{"name", "digits-0-0"},
            {"namespace", "lab"},
            {"uid", "u-1"},
            {"labels", {{"grapevine.dev/slot", "0"}}}}},
          {"spec", {{"containers", {std::move(container)}}}}};
}

json Field(const char* name, const char* path) {
  return {{"name", name}, {"valueFrom", {{"fieldRef", {{"fieldPath", path}}}}}};
}

TEST(PodProcessTest, TheCommandIsTheFirstContainers) {
  const auto command = CommandOf(
      Pod({{"command", {"worker", "--fast"}}, {"args", {"a b"}}, {"workingDir", "/data"}}), {});
  ASSERT_TRUE(command.ok()) << command.status();
  EXPECT_THAT(command->arguments, ElementsAre("worker", "--fast", "a b"));
  EXPECT_EQ(command->working_directory, "/data");
  EXPECT_THAT(command->environment, ElementsAre());
}

TEST(PodProcessTest, TheEnvironmentIsTheContainersOverTheInherited) {
  const auto command = CommandOf(Pod({{"command", {"w"}},
                                      {"env",
                                       {{{"name", "HOME"}, {"value", "/new"}},
                                        {{"name", "EMPTY"}},
                                        Field("POD", "metadata.name"),
                                        Field("NAMESPACE", "metadata.namespace"),
                                        Field("UID", "metadata.uid"),
                                        Field("IP", "status.podIP"),
                                        Field("SLOT", "metadata.labels['grapevine.dev/slot']"),
                                        Field("NO_LABEL", "metadata.labels['other']")}}}),
                                 {"HOME=/root", "PATH=/bin", "ODD"});
  ASSERT_TRUE(command.ok()) << command.status();
  EXPECT_THAT(command->environment,
              ElementsAre("EMPTY=", "HOME=/new", "IP=127.0.0.1", "NAMESPACE=lab",
                          "NO_LABEL=", "PATH=/bin", "POD=digits-0-0", "SLOT=0", "UID=u-1"));
}

TEST(PodProcessTest, RefusesPodsThatItCannotRun) {
  const json fine = {{"command", {"w"}}};
  std::vector<json> pods{json(),
                         json::object(),
                         {{"spec", {{"containers", json::array()}}}},
                         Pod(json::object()),
                         Pod({{"command", json::array()}}),
                         Pod({{"command", {1}}}),
                         Pod({{"command", {"w"}}, {"env", 3}}),
                         Pod({{"command", {"w"}}, {"env", {{{"value", "x"}}}}})};
  json secret = fine;
  secret["env"] = {{{"name", "X"}, {"valueFrom", {{"secretKeyRef", {{"name", "s"}}}}}}};
  pods.push_back(Pod(secret));
  json unknown = fine;
  unknown["env"] = {Field("X", "spec.nodeName")};
  pods.push_back(Pod(unknown));
  for (const json& pod : pods) {
    EXPECT_EQ(CommandOf(pod, {}).status().code(), absl::StatusCode::kInvalidArgument) << pod;
  }
}

TEST(PodProcessTest, ReportsWhatAKubeletWould) {
  const api::WallTime start = *api::ParseWallTime("2024-05-01T09:30:00Z");
  json pod = Pod({{"command", {"w"}}});
  pod["status"] = {{"phase", "Pending"},
                   {"conditions", {{{"type", "DisruptionTarget"}, {"status", "True"}}}}};
  pod["status"] = RunningStatus(pod, start);
  EXPECT_EQ(pod["status"]["phase"], "Running");
  EXPECT_EQ(pod["status"]["startTime"], "2024-05-01T09:30:00Z");
  EXPECT_EQ(pod["status"]["conditions"][0]["type"], "DisruptionTarget");
  EXPECT_EQ(pod["status"]["conditions"][1]["type"], "Ready");
  EXPECT_EQ(pod["status"]["conditions"][1]["status"], "True");
  EXPECT_EQ(pod["status"]["containerStatuses"][0]["name"], "trainer");

  const json done = ExitedStatus(pod, {.code = 0}, "words", start + std::chrono::seconds(60));
  EXPECT_EQ(done["phase"], "Succeeded");
  EXPECT_EQ(done["startTime"], "2024-05-01T09:30:00Z");
  EXPECT_EQ(done["conditions"].size(), 2u);
  EXPECT_EQ(done["conditions"][1]["status"], "False");
  EXPECT_EQ(done["containerStatuses"][0]["state"]["terminated"]["exitCode"], 0);

  const json killed = ExitedStatus(pod, {.code = 137, .signal = SIGKILL}, "words", start);
  EXPECT_EQ(killed["phase"], "Failed");
  EXPECT_EQ(killed["containerStatuses"][0]["state"]["terminated"]["exitCode"], 137);
  EXPECT_EQ(killed["containerStatuses"][0]["state"]["terminated"]["signal"], 9);
}

TEST(PodProcessTest, ReportsPodsThatAreMalformedToo) {
  const json status = NotStartedStatus({{"spec", {{"containers", json::array()}}}},
                                       absl::InvalidArgumentError("no command"), api::WallTime());
  EXPECT_EQ(status["phase"], "Failed");
  EXPECT_EQ(status["containerStatuses"][0]["state"]["terminated"]["reason"], "StartError");
  EXPECT_EQ(status["containerStatuses"][0]["state"]["terminated"]["message"], "no command");
}

TEST(PodProcessTest, WhatAPodThatFailedWroteLastIsItsMessageWhereThePodSaysSo) {
  json pod = {{"spec", {{"containers", {{{"name", "w"}}}}}}};
  const auto message = [&](int code) {
    return ExitedStatus(pod, {.code = code}, "last words", api::WallTime())
        .value("/containerStatuses/0/state/terminated/message"_json_pointer, "none");
  };
  EXPECT_EQ(message(1), "none");
  pod["spec"]["containers"][0]["terminationMessagePolicy"] = "FallbackToLogsOnError";
  EXPECT_EQ(message(1), "last words");
  EXPECT_EQ(message(0), "none");
}

}  // namespace
}  // namespace grapevine::local
