#include "operator/kube/watch_decoder.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grapevine::kube {
namespace {

using controller::WatchEvent;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Decoded {
  std::vector<std::string> events;  // "0 name"
  absl::Status status;
  size_t pending = 0;
};

// What comes of `bytes` when they arrive in pieces that end at `cuts`.
Decoded Decode(const std::string& bytes, const std::vector<size_t>& cuts) {
  Decoded result;
  WatchDecoder decoder([&](const WatchEvent& event) {
    result.events.push_back(std::to_string(static_cast<int>(event.type)) + " " +
                            event.object.value("name", ""));
  });
  size_t begin = 0;
  for (size_t end : cuts) {
    result.status.Update(decoder.Feed(std::string_view(bytes).substr(begin, end - begin)));
    begin = end;
  }
  if (result.status.ok()) result.status = decoder.Feed(std::string_view(bytes).substr(begin));
  result.pending = decoder.pending();
  return result;
}

const char kFrames[] =
    "{\"type\":\"ADDED\",\"object\":{\"name\":\"a\\n{}\"}}\n"
    "\n"
    "{\"type\":\"MODIFIED\",\"object\":{\"name\":\"b\\u00e4\"}}\r\n"
    "{\"type\":\"DELETED\",\"object\":{\"name\":\"c\"}}\n"
    "{\"type\":\"BOOKMARK\",\"object\":{}}\n"
    "{\"type\":\"ERROR\",\"object\":{\"code\":410}}\n";

TEST(WatchDecoder, ReadsTheSameEventsWhereverTheyAreCut) {
  const std::string bytes = kFrames;
  const auto whole = ElementsAre("0 a\n{}", "1 b\u00e4", "2 c", "3 ", "4 ");
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    const Decoded decoded = Decode(bytes, {cut});
    ASSERT_TRUE(decoded.status.ok()) << cut;
    ASSERT_THAT(decoded.events, whole) << cut;
    ASSERT_EQ(decoded.pending, 0u);
  }
  std::vector<size_t> every;
  for (size_t i = 1; i < bytes.size(); ++i) every.push_back(i);
  EXPECT_THAT(Decode(bytes, every).events, whole);
}

TEST(WatchDecoder, AnEventThatIsCutOffIsNotGiven) {
  const std::string bytes = "{\"type\":\"ADDED\",\"object\":{\"name\":\"a\"}}";
  const Decoded decoded = Decode(bytes, {});
  EXPECT_TRUE(decoded.status.ok());
  EXPECT_THAT(decoded.events, IsEmpty());
  EXPECT_EQ(decoded.pending, bytes.size());
}

TEST(WatchDecoder, WhatIsNoEventIsSaidSoAndTheOnesBeforeItWereGiven) {
  for (const char* bad : {"null", "[]", "{}", "{\"type\":\"ADDED\"}",
                          "{\"type\":\"NEW\",\"object\":{}}", "{\"type\":3,\"object\":{}}",
                          "{\"type\":\"ADDED\",\"object\":[]}", "<html>", "{\"type\""}) {
    const std::string good = "{\"type\":\"ADDED\",\"object\":{\"name\":\"a\"}}\n";
    const Decoded decoded = Decode(good + bad + "\n", {});
    EXPECT_EQ(decoded.status.code(), absl::StatusCode::kDataLoss) << bad;
    EXPECT_THAT(decoded.events, ElementsAre("0 a")) << bad;
  }
}

// To copy such an object takes more stack than a thread has.
TEST(WatchDecoder, AnEventThatNestsWithoutEndIsRefused) {
  const std::string deep = std::string(200'000, '[') + std::string(200'000, ']');
  const Decoded decoded = Decode(R"({"type":"ADDED","object":{"a":)" + deep + "}}\n", {});
  EXPECT_EQ(decoded.status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(decoded.events, ElementsAre());
}

TEST(WatchDecoder, ALineWithoutAnEndIsBounded) {
  WatchDecoder decoder([](const WatchEvent&) {});
  const std::string piece(1 << 20, 'x');
  absl::Status status;
  for (int i = 0; i < 100 && status.ok(); ++i) status = decoder.Feed(piece);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_LE(decoder.pending(), WatchDecoder::kMaxLine);
}

}  // namespace
}  // namespace grapevine::kube
