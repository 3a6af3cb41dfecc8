#include "operator/controller/event_recorder.h"

#include <algorithm>
#include <atomic>
#include <memory>

#include "gtest/gtest.h"
#include "operator/local/api_server.h"
#include "tests/operator/controller/forwarding_client.h"

namespace grapevine::controller {
namespace {

using nlohmann::json;

const Resource kEvents{"events.k8s.io", "v1", "events"};

Event Joined(const std::string& note) {
  return {.regarding = {"grapevine.dev/v1alpha1", "TrainingJob", "ml", "digits", "u1"},
          .reason = "MemberJoined",
          .action = "Join",
          .note = note};
}

// Refuses so many writes, or holds them all up.
class TroubledClient final : public ForwardingClient {
 public:
  using ForwardingClient::ForwardingClient;

  Answer Create(const Resource& resource, const json& object) override {
    ++asked;
    while (held) std::this_thread::yield();
    if (refusals-- > 0) return absl::UnavailableError("not now");
    return ForwardingClient::Create(resource, object);
  }

  std::atomic<int> asked = 0;
  std::atomic<int> refusals = 0;
  std::atomic<bool> held = false;
};

class EventRecorderTest : public ::testing::Test {
 protected:
  std::unique_ptr<EventRecorder> Recorder() {
    return std::make_unique<EventRecorder>(
        &client_, &clock_,
        EventRecorderOptions{.controller = "grapevine.dev/operator", .instance = "a"});
  }
  json Events() { return (*server_.List(kEvents, "ml", {}))["items"]; }

  RealClock clock_;
  local::ApiServer server_;
  TroubledClient client_{server_};
};

TEST_F(EventRecorderTest, WhatWasRecordedIsWrittenBeforeItEnds) {
  auto recorder = Recorder();
  recorder->Record(Joined("pod digits-0-0 joined"));
  recorder->Record(Joined("pod digits-1-0 joined"));
  recorder.reset();
  ASSERT_EQ(Events().size(), 2u);
  EXPECT_EQ(Events()[0]["reason"], "MemberJoined");
  EXPECT_EQ(Events()[0]["regarding"]["uid"], "u1");
}

TEST_F(EventRecorderTest, WhatRepeatsIsOneEventWithItsCount) {
  auto recorder = Recorder();
  for (int i = 0; i < 5; ++i) recorder->Record(Joined("again"));
  recorder.reset();
  ASSERT_EQ(Events().size(), 1u);
  EXPECT_EQ(Events()[0]["series"]["count"], 5);
}

TEST_F(EventRecorderTest, AServerThatRefusesForAWhileLosesNothing) {
  client_.refusals = 1;
  auto recorder = Recorder();
  recorder->Record(Joined("once"));
  while (Events().empty()) std::this_thread::yield();
  EXPECT_EQ(client_.asked, 2);
}

TEST_F(EventRecorderTest, NobodyWaitsForAServerThatDoesNotAnswerAndTheQueueIsBounded) {
  client_.held = true;
  auto recorder = Recorder();
  recorder->Record(Joined("first"));
  while (client_.asked == 0) std::this_thread::yield();
  for (size_t i = 0; i < 3 * EventRecorder::kMaxQueued; ++i) recorder->Record(Joined("more"));
  client_.held = false;
  recorder.reset();
  int count = 0;
  for (const json& event : Events()) {
    if (event["note"] == "more") {
      count = event.contains("series") ? event["series"]["count"].get<int>() : 1;
    }
  }
  EXPECT_EQ(count, static_cast<int>(EventRecorder::kMaxQueued));
}

}  // namespace
}  // namespace grapevine::controller
