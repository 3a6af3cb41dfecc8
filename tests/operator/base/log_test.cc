#include "operator/base/log.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "spdlog/formatter.h"
#include "spdlog/spdlog.h"

namespace grapevine {
namespace {

using ::testing::HasSubstr;

std::string Line(const LogOptions& options, std::string_view message,
                 spdlog::level::level_enum level = spdlog::level::info) {
  spdlog::details::log_msg event("grapevine", level, message);
  event.time = spdlog::log_clock::time_point(std::chrono::milliseconds(1'767'225'600'042));
  spdlog::memory_buf_t out;
  MakeLogFormatter(options)->format(event, out);
  return {out.data(), out.size()};
}

TEST(LogTest, ATextLineHasTimeLevelMessageAndFields) {
  EXPECT_EQ(Line({.job = "default/digits", .member = "3"}, "peer lost", spdlog::level::warn),
            "2026-01-01T00:00:00.042Z warn  peer lost job=default/digits member=3\n");
}

TEST(LogTest, EmptyFieldsAreLeftOut) {
  EXPECT_EQ(Line({}, "started"), "2026-01-01T00:00:00.042Z info  started\n");
  EXPECT_FALSE(
      nlohmann::json::parse(Line({.format = LogFormat::kJson}, "started")).contains("member"));
}

TEST(LogTest, AJsonLineCarriesTheSameFields) {
  const auto line = nlohmann::json::parse(
      Line({.format = LogFormat::kJson, .job = "digits", .member = "3"}, "peer \"7\" lost"));
  EXPECT_EQ(line, (nlohmann::json{{"time", "2026-01-01T00:00:00.042Z"},
                                  {"level", "info"},
                                  {"message", "peer \"7\" lost"},
                                  {"job", "digits"},
                                  {"member", "3"}}));
}

TEST(LogTest, AMessageCannotForgeALineOrSpeakToTheTerminal) {
  EXPECT_EQ(Line({}, "a\nb\x1b[2Jc"), "2026-01-01T00:00:00.042Z info  a\\nb\\x1b[2Jc\n");
  const std::string json = Line({.format = LogFormat::kJson}, "a\nb");
  EXPECT_EQ(json.find('\n'), json.size() - 1);
}

TEST(LogTest, BytesThatAreNotUtf8AreReplacedInJson) {
  const auto line = nlohmann::json::parse(Line({.format = LogFormat::kJson}, "\xff!"));
  EXPECT_EQ(line["message"], "\xef\xbf\xbd!");
}

TEST(LogTest, AnUnknownLevelIsRefusedWithTheKnownOnes) {
  const absl::Status status = StartLog({.level = "loud"});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("'loud'"));
  EXPECT_THAT(status.message(), HasSubstr("trace, debug, info, warn, error or off"));
}

TEST(LogTest, LinesGoToStandardErrorFromTheLevelUp) {
  ::testing::internal::CaptureStderr();
  ASSERT_TRUE(StartLog({.level = "warn"}).ok());
  LogInfo("not this");
  LogWarn("but this");
  ASSERT_TRUE(ChangeLog({.level = "info", .member = "9"}).ok());
  LogInfo("now this");
  const std::string written = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(written, ::testing::Not(HasSubstr("not this")));
  EXPECT_THAT(written, HasSubstr("warn  but this\n"));
  EXPECT_THAT(written, HasSubstr("info  now this member=9\n"));
}

TEST(LogTest, FieldsMayChangeWhileOthersLog) {
  ::testing::internal::CaptureStderr();
  ASSERT_TRUE(StartLog({}).ok());
  {
    std::jthread other([] {
      for (int i = 0; i < 200; ++i) LogInfo("line {}", i);
    });
    for (int i = 0; i < 200; ++i) ASSERT_TRUE(ChangeLog({.member = std::to_string(i)}).ok());
  }
  const std::string written = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(written.begin(), written.end(), '\n'), 200);
}

}  // namespace
}  // namespace grapevine
