#include "operator/controller/reflector.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/controller/object_store.h"
#include "tests/operator/controller/scripted_client.h"

namespace grapevine::controller {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;

class ReflectorTest : public ::testing::Test {
 protected:
  ReflectorTest()
      : reflector_(&client_, &clock_,
                   {.resource = {"", "v1", "pods"},
                    .on_listed =
                        [this](const std::vector<json>& objects) {
                          std::string line = "list";
                          for (const json& each : objects) line += " " + KeyOf(each).name;
                          Note(line);
                        },
                    .on_event =
                        [this](const WatchEvent& event) {
                          Note(KeyOf(event.object).name + "@" + ResourceVersionOf(event.object));
                        }}) {}

  void Note(const std::string& line) {
    MutexLock lock(mutex_);
    notes_.push_back(line);
  }
  std::vector<std::string> Notes() {
    MutexLock lock(mutex_);
    return notes_;
  }

  static json Named(const char* name, const char* version) {
    return ScriptedClient::Object(name, version);
  }

  RealClock clock_;
  ScriptedClient client_;
  Mutex mutex_;
  std::vector<std::string> notes_ ABSL_GUARDED_BY(mutex_);
  Reflector reflector_;
};

TEST_F(ReflectorTest, ListsAndThenWatchesFromTheListsOwnVersion) {
  client_.AnswerList(ScriptedClient::ListOf("10", {Named("a", "3"), Named("b", "12")}));
  reflector_.Start();
  EXPECT_EQ(client_.VersionOfWatch(1), "10");
  client_.Send({WatchEvent::Type::kAdded, Named("c", "13")});
  client_.Send({WatchEvent::Type::kModified, Named("a", "14")});
  reflector_.Stop();
  EXPECT_THAT(Notes(), ElementsAre("list a b", "c@13", "a@14"));
}

TEST_F(ReflectorTest, WatchesOnFromTheLastEventOrBookmark) {
  client_.AnswerList(ScriptedClient::ListOf("10", {}));
  reflector_.Start();
  client_.Send({WatchEvent::Type::kAdded, Named("a", "11")});
  client_.Send({WatchEvent::Type::kBookmark, Named("", "20")});
  client_.Send(ScriptedClient::Ended(0));
  EXPECT_EQ(client_.VersionOfWatch(2), "20");
  reflector_.Stop();
  EXPECT_THAT(Notes(), ElementsAre("list", "a@11"));
  EXPECT_EQ(client_.lists(), 1);
}

TEST_F(ReflectorTest, ListsAgainWhenTheHistoryIsGone) {
  client_.AnswerList(ScriptedClient::ListOf("10", {Named("a", "1")}));
  reflector_.Start();
  client_.Send({WatchEvent::Type::kAdded, Named("b", "11")});
  client_.AnswerList(ScriptedClient::ListOf("50", {Named("c", "40")}));
  client_.Send(ScriptedClient::Ended(410));
  EXPECT_EQ(client_.VersionOfWatch(2), "50");
  reflector_.Stop();
  EXPECT_THAT(Notes(), ElementsAre("list a", "b@11", "list c"));
}

TEST_F(ReflectorTest, TriesAgainAfterAListThatFailed) {
  client_.AnswerList(absl::UnavailableError("refused"));
  client_.AnswerList(ScriptedClient::ListOf("10", {}));
  reflector_.Start();
  EXPECT_EQ(client_.VersionOfWatch(1), "10");
  reflector_.Stop();
  EXPECT_EQ(client_.lists(), 2);
}

TEST_F(ReflectorTest, StopsWhileItBacksOff) {
  client_.AnswerList(json::array());
  reflector_.Start();
  while (client_.lists() < 1) std::this_thread::yield();
  reflector_.Stop();
  EXPECT_THAT(Notes(), ElementsAre());
}

TEST_F(ReflectorTest, StopsBeforeItStarted) { reflector_.Stop(); }

}  // namespace
}  // namespace grapevine::controller
