#include "operator/api/object_meta.h"

#include <random>

#include "gtest/gtest.h"

namespace grapevine::api {
namespace {

using nlohmann::json;

WallTime At(int64_t seconds) { return WallTime(std::chrono::seconds(seconds)); }

TEST(WallTimeTest, IsWrittenAsKubernetesWritesIt) {
  EXPECT_EQ(FormatWallTime(At(0)), "1970-01-01T00:00:00Z");
  EXPECT_EQ(FormatWallTime(At(1714555800)), "2024-05-01T09:30:00Z");
  EXPECT_EQ(FormatWallTime(At(1714555800) + std::chrono::milliseconds(999)),
            "2024-05-01T09:30:00Z");
}

TEST(WallTimeTest, HasSixDigitsOfASecondWhereLeasesAndEventsWantThem) {
  EXPECT_EQ(FormatMicroTime(At(1714555800)), "2024-05-01T09:30:00.000000Z");
  EXPECT_EQ(FormatMicroTime(At(1714555800) + std::chrono::microseconds(1203)),
            "2024-05-01T09:30:00.001203Z");
  EXPECT_EQ(FormatMicroTime(At(0) - std::chrono::microseconds(1)), "1969-12-31T23:59:59.999999Z");
}

TEST(WallTimeTest, ReadsBackWhatItWrote) {
  std::mt19937_64 rng(3);
  std::uniform_int_distribution<int64_t> any(-2'000'000'000, 8'000'000'000);
  for (int i = 0; i < 1000; ++i) {
    const WallTime time = At(any(rng));
    ASSERT_EQ(ParseWallTime(FormatWallTime(time)), time) << FormatWallTime(time);
  }
}

TEST(WallTimeTest, DropsAFraction) {
  EXPECT_EQ(ParseWallTime("2024-05-01T09:30:00.123456789Z"), At(1714555800));
}

TEST(WallTimeTest, RefusesEverythingElse) {
  for (const char* text : {"",
                           "Z",
                           "2024-05-01",
                           "2024-05-01T09:30:00",
                           "2024-05-01T09:30:00+02:00",
                           "2024-13-01T09:30:00Z",
                           "2024-02-30T09:30:00Z",
                           "2024-05-01T24:00:00Z",
                           "2024-05-01T09:60:00Z",
                           "2024-05-01T09:30:60Z",
                           "2024-05-01t09:30:00Z",
                           "2024-05-01T09:30:00.Z",
                           "2024-05-01T09:30:00.x1Z",
                           "2024-05-01T09:30:00.1234567890123Z",
                           "20x4-05-01T09:30:00Z",
                           " 2024-05-01T09:30:00Z",
                           "1899-12-31T23:59:59Z",
                           "2262-01-01T00:00:00Z",
                           "9999-12-31T23:59:59Z",
                           "0000-01-01T00:00:00Z"}) {
    EXPECT_EQ(ParseWallTime(text), std::nullopt) << text;
  }
}

TEST(ObjectMetaTest, SurvivesARoundTrip) {
  ObjectMeta metadata{.name = "digits",
                      .name_space = "lab",
                      .uid = "u-1",
                      .resource_version = "17",
                      .generation = 3,
                      .creation_timestamp = "2024-05-01T09:30:00Z",
                      .deletion_timestamp = "2024-05-01T09:31:00Z",
                      .labels = {{"a", "b"}},
                      .annotations = {{"c", "d"}}};
  EXPECT_EQ(MetadataOf({{"metadata", ToJson(metadata)}}), metadata);
  EXPECT_EQ(MetadataOf({{"metadata", ToJson(ObjectMeta{.name = "x"})}}), ObjectMeta{.name = "x"});
}

TEST(ObjectMetaTest, LeavesWhatHasAnotherTypeAtItsDefault) {
  const ObjectMeta none;
  EXPECT_EQ(MetadataOf(json()), none);
  EXPECT_EQ(MetadataOf(json("text")), none);
  EXPECT_EQ(MetadataOf({{"metadata", json::array({1})}}), none);
  EXPECT_EQ(MetadataOf({{"metadata", {{"name", 3}, {"generation", "x"}, {"labels", {{"a", 1}}}}}}),
            none);
}

TEST(ConditionTest, KeepsItsTransitionTimeWhileTheStatusStays) {
  std::vector<Condition> conditions;
  EXPECT_TRUE(
      SetCondition(conditions, {.type = "Running", .status = "False", .reason = "A"}, At(0)));
  EXPECT_TRUE(
      SetCondition(conditions, {.type = "Running", .status = "False", .reason = "B"}, At(60)));
  ASSERT_EQ(conditions.size(), 1u);
  EXPECT_EQ(conditions[0].reason, "B");
  EXPECT_EQ(conditions[0].last_transition_time, "1970-01-01T00:00:00Z");
  EXPECT_TRUE(
      SetCondition(conditions, {.type = "Running", .status = "True", .reason = "C"}, At(120)));
  EXPECT_EQ(conditions[0].last_transition_time, "1970-01-01T00:02:00Z");
}

TEST(ConditionTest, SaysWhetherAnythingChanged) {
  std::vector<Condition> conditions;
  const Condition condition{.type = "Failed", .status = "True", .reason = "A"};
  EXPECT_TRUE(SetCondition(conditions, condition, At(0)));
  EXPECT_FALSE(SetCondition(conditions, condition, At(60)));
  Condition newer = condition;
  newer.observed_generation = 2;
  EXPECT_TRUE(SetCondition(conditions, newer, At(60)));
}

TEST(ConditionTest, IsFoundByItsType) {
  const std::vector<Condition> conditions{{.type = "Running", .status = "True"},
                                          {.type = "Failed", .status = "False"}};
  EXPECT_TRUE(IsTrue(conditions, "Running"));
  EXPECT_FALSE(IsTrue(conditions, "Failed"));
  EXPECT_FALSE(IsTrue(conditions, "Suspended"));
  EXPECT_EQ(FindCondition(conditions, "Failed"), &conditions[1]);
  EXPECT_EQ(FindCondition(conditions, "Suspended"), nullptr);
}

}  // namespace
}  // namespace grapevine::api
