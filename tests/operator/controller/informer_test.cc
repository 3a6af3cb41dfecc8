#include "operator/controller/informer.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/operator/controller/scripted_client.h"

namespace grapevine::controller {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;

class InformerTest : public ::testing::Test {
 protected:
  InformerTest() : informer_(&client_, &clock_, {.resource = {"", "v1", "pods"}}) {
    informer_.Subscribe([this](const ObjectChange& change) {
      const std::string name = KeyOf(change.now ? *change.now : *change.before).name;
      // What a subscriber is told is in the store already.
      const Object stored = informer_.store().Get({"default", name});
      EXPECT_EQ(stored ? *stored : nlohmann::json(), change.now ? *change.now : nlohmann::json());
      MutexLock lock(mutex_);
      notes_.push_back(std::string(!change.before ? "+" : !change.now ? "-" : "*") + name);
    });
  }
  ~InformerTest() override { informer_.Stop(); }

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
  Informer informer_;
};

TEST_F(InformerTest, HasSyncedOnceTheFirstListWasTold) {
  informer_.Start();
  EXPECT_FALSE(informer_.HasSynced());
  EXPECT_FALSE(informer_.WaitForSync(clock_.Now() + 1ms));
  client_.AnswerList(ScriptedClient::ListOf("10", {Named("a", "1"), Named("b", "2")}));
  EXPECT_TRUE(informer_.WaitForSync(clock_.Now() + 60s));
  EXPECT_THAT(Notes(), ElementsAre("+a", "+b"));
  EXPECT_TRUE(informer_.HasSynced());
}

TEST_F(InformerTest, FollowsTheWatch) {
  client_.AnswerList(ScriptedClient::ListOf("10", {Named("a", "1")}));
  informer_.Start();
  client_.Send({WatchEvent::Type::kAdded, Named("b", "11")});
  client_.Send({WatchEvent::Type::kModified, Named("a", "12")});
  client_.Send({WatchEvent::Type::kDeleted, Named("b", "13")});
  client_.Send({WatchEvent::Type::kDeleted, Named("unseen", "14")});
  EXPECT_THAT(Notes(), ElementsAre("+a", "+b", "*a", "-b"));
  EXPECT_EQ(informer_.store().size(), 1u);
}

TEST_F(InformerTest, TellsDeletionsThatOnlyANewListShows) {
  client_.AnswerList(ScriptedClient::ListOf("10", {Named("a", "1"), Named("b", "2")}));
  informer_.Start();
  client_.Send({WatchEvent::Type::kAdded, Named("c", "11")});
  client_.AnswerList(ScriptedClient::ListOf("50", {Named("a", "1"), Named("d", "40")}));
  client_.Send(ScriptedClient::Ended(410));
  client_.VersionOfWatch(2);
  EXPECT_THAT(Notes(), ElementsAre("+a", "+b", "+c", "-b", "-c", "+d"));
}

TEST_F(InformerTest, KeepsItsStoreAfterStop) {
  client_.AnswerList(ScriptedClient::ListOf("10", {Named("a", "1")}));
  informer_.Start();
  client_.VersionOfWatch(1);
  informer_.Stop();
  EXPECT_NE(informer_.store().Get({"default", "a"}), nullptr);
}

}  // namespace
}  // namespace grapevine::controller
