#include "operator/controller/informer.h"

#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/local/api_server.h"
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

// The server's, in memory.
TEST(InformerOfNamespacesTest, FollowsEachAndNoOther) {
  const RealClock clock;
  local::ApiServer server;
  const Resource pods = {"", "v1", "pods"};
  const auto make = [&](const char* name_space) {
    const json pod = {{"metadata", {{"namespace", name_space}, {"name", "p"}}}};
    EXPECT_TRUE(server.Create(pods, pod).ok());
  };
  make("a");
  make("c");
  Mutex mutex;
  CondVar told;
  std::set<std::string> from;  // guarded by mutex
  Informer informer(&server, &clock, {.resource = pods, .name_spaces = {"a", "b"}});
  informer.Subscribe([&](const ObjectChange& change) {
    MutexLock lock(mutex);
    from.insert(KeyOf(*change.now).name_space);
    told.NotifyAll();
  });
  informer.Start();
  ASSERT_TRUE(informer.WaitForSync(clock.Now() + 60s));
  EXPECT_EQ(informer.store().size(), 1u);
  make("b");
  {
    MutexLock lock(mutex);
    const Time deadline = clock.Now() + 60s;
    while (!from.contains("b") && told.WaitUntil(mutex, deadline)) continue;
    EXPECT_EQ(from, (std::set<std::string>{"a", "b"}));
  }
  informer.Stop();
  EXPECT_EQ(informer.store().size(), 2u);
}

TEST(InformerOfNamespacesTest, HasSyncedWhenAllWereListed) {
  const RealClock clock;
  ScriptedClient client;
  Informer informer(&client, &clock, {.resource = {"", "v1", "pods"}, .name_spaces = {"a", "b"}});
  informer.Start();
  client.AnswerList(ScriptedClient::ListOf("10", {}));
  client.VersionOfWatch(1);  // which follows a list
  EXPECT_FALSE(informer.HasSynced());
  client.AnswerList(ScriptedClient::ListOf("10", {}));
  EXPECT_TRUE(informer.WaitForSync(clock.Now() + 60s));
  informer.Stop();
}

}  // namespace
}  // namespace grapevine::controller
