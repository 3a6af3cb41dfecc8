#include "operator/controller/event_series.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grapevine::controller {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr Time kStart{100s};
const std::chrono::system_clock::time_point kWall{std::chrono::seconds(1714555800)};

Event Joined(const std::string& note, const std::string& uid = "u1") {
  return {.regarding = {"grapevine.dev/v1alpha1", "TrainingJob", "ml", "digits", uid},
          .reason = "MemberJoined",
          .action = "Join",
          .note = note};
}

TEST(EventSeries, AFirstEventIsWrittenAtOnceUnderANameOfItsOwn) {
  EventSeries series(7);
  const auto first = series.Add(Joined("a"), kStart, kWall);
  const auto second = series.Add(Joined("b"), kStart, kWall);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->count, 1);
  EXPECT_NE(first->name, second->name);
  EXPECT_EQ(first->name.substr(0, 7), "digits.");
  EXPECT_NE(EventSeries(8).Add(Joined("a"), kStart, kWall)->name, first->name);
}

TEST(EventSeries, WhatRepeatsCountsUpAndIsWrittenNowAndThen) {
  EventSeries series(7);
  const std::string name = series.Add(Joined("a"), kStart, kWall)->name;
  EXPECT_FALSE(series.Add(Joined("a"), kStart + 1s, kWall));
  EXPECT_FALSE(series.Add(Joined("a"), kStart + 2s, kWall));
  EXPECT_THAT(series.TakeDue(kStart + 9s, false), IsEmpty());
  const auto due = series.TakeDue(kStart + 10s, false);
  ASSERT_THAT(due, SizeIs(1));
  EXPECT_EQ(due[0].name, name);
  EXPECT_EQ(due[0].count, 3);
  EXPECT_THAT(series.TakeDue(kStart + 30s, true), IsEmpty());
  EXPECT_EQ(series.Add(Joined("a"), kStart + 30s, kWall)->count, 4);
}

TEST(EventSeries, AtTheEndWhatWasHeldBackIsTold) {
  EventSeries series(7);
  series.Add(Joined("a"), kStart, kWall);
  series.Add(Joined("a"), kStart + 1s, kWall);
  EXPECT_THAT(series.TakeDue(kStart + 2s, true), SizeIs(1));
}

TEST(EventSeries, ASeriesEndsAfterSixQuietMinutes) {
  EventSeries series(7);
  const std::string name = series.Add(Joined("a"), kStart, kWall)->name;
  EXPECT_EQ(series.Add(Joined("a"), kStart + 359s, kWall)->name, name);
  const auto later = series.Add(Joined("a"), kStart + 719s, kWall);
  EXPECT_NE(later->name, name);
  EXPECT_EQ(later->count, 1);
}

TEST(EventSeries, AnObjectHasTwentyFiveOfAReasonAtOnceAndThenOneInFiveMinutes) {
  EventSeries series(7);
  int written = 0;
  for (int i = 0; i < 100; ++i)
    written += series.Add(Joined(std::to_string(i)), kStart, kWall) ? 1 : 0;
  EXPECT_EQ(written, 25);
  EXPECT_TRUE(series.Add(Joined("of another", "u2"), kStart, kWall));
  EXPECT_FALSE(series.Add(Joined("x"), kStart + 299s, kWall));
  EXPECT_TRUE(series.Add(Joined("y"), kStart + 301s, kWall));
}

TEST(EventSeries, WhatHappensOftenTakesNoWordsFromTheRest) {
  EventSeries series(7);
  for (int i = 0; i < 100; ++i) series.Add(Joined(std::to_string(i)), kStart, kWall);
  Event failed = Joined("no data");
  failed.reason = "Failed";
  EXPECT_TRUE(series.Add(failed, kStart, kWall));
}

TEST(EventSeries, AnyNumberOfObjectsNeedsBoundedMemory) {
  EventSeries series(7);
  int written = 0;
  for (int i = 0; i < 20'000; ++i) {
    written += series.Add(Joined("n", std::to_string(i)), kStart + i * 1s, kWall) ? 1 : 0;
  }
  EXPECT_EQ(written, 20'000);  // the old ones have ended
  for (int i = 0; i < 20'000; ++i) {
    written += series.Add(Joined("m", std::to_string(i)), kStart + 20'000s, kWall) ? 1 : 0;
  }
  EXPECT_LE(written, 20'000 + static_cast<int>(EventSeries::kMaxSeries));
}

TEST(EventSeries, ANoteIsCutAtACharacter) {
  EventSeries series(7);
  std::string note(1023, 'a');
  note += "\u00e4";  // two bytes
  EXPECT_EQ(series.Add(Joined(note), kStart, kWall)->event.note, std::string(1023, 'a'));
}

TEST(EventSeries, IsWrittenAsTheApiServerTakesIt) {
  EventSeries series(7);
  EventWrite write = *series.Add(Joined("pod digits-0-0 joined"), kStart, kWall);
  write.name = "digits.1";
  EXPECT_EQ(ToJson(write, "grapevine.dev/operator", "host-1").dump(2), R"({
  "action": "Join",
  "apiVersion": "events.k8s.io/v1",
  "eventTime": "2024-05-01T09:30:00.000000Z",
  "kind": "Event",
  "metadata": {
    "name": "digits.1",
    "namespace": "ml"
  },
  "note": "pod digits-0-0 joined",
  "reason": "MemberJoined",
  "regarding": {
    "apiVersion": "grapevine.dev/v1alpha1",
    "kind": "TrainingJob",
    "name": "digits",
    "namespace": "ml",
    "uid": "u1"
  },
  "reportingController": "grapevine.dev/operator",
  "reportingInstance": "host-1",
  "type": "Normal"
})");
  write.count = 3;
  EXPECT_EQ(SeriesPatch(write).dump(),
            R"({"series":{"count":3,"lastObservedTime":"2024-05-01T09:30:00.000000Z"}})");
}

}  // namespace
}  // namespace grapevine::controller
