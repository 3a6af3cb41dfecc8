#include "operator/local/api_server.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/conformance/api_client_suite.h"

// What is the local server's own; what every server does is in tests/conformance.

namespace grapevine::local {
namespace {

using conformance::Heard;
using controller::Resource;
using controller::ResourceVersionOf;
using controller::UidOf;
using nlohmann::json;
using ::testing::ElementsAre;

const Resource kPods{"", "v1", "pods"};
const Resource kJobs{"grapevine.dev", "v1alpha1", "trainingjobs"};

json Named(const std::string& name, const std::string& owner = "") {
  json object = {{"metadata", {{"name", name}, {"namespace", "default"}}},
                 {"spec", json::object()}};
  if (!owner.empty()) {
    object["metadata"]["ownerReferences"] = {{{"uid", owner}, {"controller", true}}};
  }
  return object;
}

json Taken(ApiServer& server, const std::string& name) {
  json pod = *server.Create(kPods, Named(name));
  pod["spec"]["nodeName"] = "local";
  return *server.Update(kPods, pod);
}

TEST(ApiServerTest, APodThatANodeHasTakenIsDeletedGracefully) {
  ApiServer server;
  const json pod = Taken(server, "p");
  ASSERT_TRUE(server.Delete(kPods, "default", "p", {}).ok());
  const json marked = *server.Get(kPods, "default", "p");
  EXPECT_EQ(marked["metadata"]["deletionGracePeriodSeconds"], 30);
  EXPECT_TRUE(marked["metadata"]["deletionTimestamp"].is_string());
  // Again: no new period, but a shorter one.
  ASSERT_TRUE(server.Delete(kPods, "default", "p", {.grace_period_seconds = 60}).ok());
  EXPECT_EQ(*server.Get(kPods, "default", "p"), marked);
  ASSERT_TRUE(server.Delete(kPods, "default", "p", {.grace_period_seconds = 5}).ok());
  EXPECT_EQ((*server.Get(kPods, "default", "p"))["metadata"]["deletionGracePeriodSeconds"], 5);
  ASSERT_TRUE(
      server.Delete(kPods, "default", "p", {.uid = UidOf(pod), .grace_period_seconds = 0}).ok());
  EXPECT_EQ(server.Get(kPods, "default", "p").status().code(), absl::StatusCode::kNotFound);
}

TEST(ApiServerTest, AFinishedPodIsGoneAtOnce) {
  ApiServer server;
  json pod = Taken(server, "p");
  pod["status"]["phase"] = "Failed";
  ASSERT_TRUE(server.UpdateStatus(kPods, pod).ok());
  ASSERT_TRUE(server.Delete(kPods, "default", "p", {}).ok());
  EXPECT_FALSE(server.Get(kPods, "default", "p").ok());
}

TEST(ApiServerTest, ThePodsOwnGracePeriodCounts) {
  ApiServer server;
  json pod = Named("p");
  pod["spec"] = {{"nodeName", "local"}, {"terminationGracePeriodSeconds", 7}};
  ASSERT_TRUE(server.Create(kPods, pod).ok());
  ASSERT_TRUE(server.Delete(kPods, "default", "p", {}).ok());
  EXPECT_EQ((*server.Get(kPods, "default", "p"))["metadata"]["deletionGracePeriodSeconds"], 7);
}

TEST(ApiServerTest, WhatBelongsToAnObjectGoesWithIt) {
  ApiServer server;
  const std::string job = UidOf(*server.Create(kJobs, Named("job")));
  const std::string child = UidOf(*server.Create(kJobs, Named("child", job)));
  ASSERT_TRUE(server.Create(kPods, Named("grandchild", child)).ok());
  ASSERT_TRUE(server.Create(kPods, Named("other")).ok());
  json running = Named("running", job);
  running["spec"]["nodeName"] = "local";
  ASSERT_TRUE(server.Create(kPods, running).ok());
  ASSERT_TRUE(server.Delete(kJobs, "default", "job", {}).ok());
  EXPECT_FALSE(server.Get(kJobs, "default", "child").ok());
  EXPECT_FALSE(server.Get(kPods, "default", "grandchild").ok());
  EXPECT_TRUE(server.Get(kPods, "default", "other").ok());
  EXPECT_TRUE((*server.Get(kPods, "default", "running"))["metadata"].contains("deletionTimestamp"));
}

TEST(ApiServerTest, WhatIsMadeForAnOwnerThatIsGoneGoesToo) {
  ApiServer server;
  ASSERT_TRUE(server.Create(kPods, Named("late", "gone")).ok());
  EXPECT_FALSE(server.Get(kPods, "default", "late").ok());
}

TEST(ApiServerTest, OneOfTwoOwnersIsEnough) {
  ApiServer server;
  const std::string a = UidOf(*server.Create(kJobs, Named("a")));
  const std::string b = UidOf(*server.Create(kJobs, Named("b")));
  json shared = Named("shared", a);
  shared["metadata"]["ownerReferences"].push_back({{"uid", b}});
  ASSERT_TRUE(server.Create(kPods, shared).ok());
  ASSERT_TRUE(server.Delete(kJobs, "default", "a", {}).ok());
  EXPECT_TRUE(server.Get(kPods, "default", "shared").ok());
  ASSERT_TRUE(server.Delete(kJobs, "default", "b", {}).ok());
  EXPECT_FALSE(server.Get(kPods, "default", "shared").ok());
}

TEST(ApiServerTest, AWatchFromAForgottenVersionIsToldToListAgain) {
  ApiServer server({.history = 3});
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    ASSERT_TRUE(server.Create(kJobs, Named(name)).ok());
  }
  Heard heard;
  EXPECT_EQ(
      server.OpenWatch(kJobs, "", {.resource_version = "1"}, heard.Listener()).status().code(),
      absl::StatusCode::kOutOfRange);
  EXPECT_EQ(
      server.OpenWatch(kJobs, "", {.resource_version = "9"}, heard.Listener()).status().code(),
      absl::StatusCode::kOutOfRange);
  EXPECT_EQ(
      server.OpenWatch(kJobs, "", {.resource_version = "x"}, heard.Listener()).status().code(),
      absl::StatusCode::kInvalidArgument);
  const auto watch = server.OpenWatch(kJobs, "", {.resource_version = "2"}, heard.Listener());
  ASSERT_TRUE(watch.ok()) << watch.status();
  EXPECT_THAT(heard.WaitFor(3), ElementsAre("+c", "+d", "+e"));
}

TEST(ApiServerTest, AWatchThatFallsTooFarBehindIsEndedWith410) {
  ApiServer server({.history = 2});
  Heard heard;
  Mutex mutex;
  const auto listener = heard.Listener();
  std::unique_ptr<controller::Watch> watch;
  {
    MutexLock lock(mutex);
    watch = *server.OpenWatch(kJobs, "", {}, [&](const controller::WatchEvent& event) {
      MutexLock wait_for_the_writes(mutex);
      listener(event);
    });
    for (const char* name : {"a", "b", "c", "d", "e", "f"}) {
      EXPECT_TRUE(server.Create(kJobs, Named(name)).ok());
    }
  }
  std::vector<std::string> lines = heard.WaitFor(1);
  while (lines.back() != "!410") lines = heard.WaitFor(lines.size() + 1);
  EXPECT_LE(lines.size(), 2u);
}

TEST(ApiServerTest, AListenerMayCallTheServerAndCloseItsOwnWatch) {
  ApiServer server;
  Heard heard;
  std::unique_ptr<controller::Watch> watch;
  Mutex mutex;
  const auto listener = heard.Listener();
  {
    MutexLock lock(mutex);
    watch = *server.OpenWatch(kJobs, "", {}, [&](const controller::WatchEvent& event) {
      { MutexLock wait_until_assigned(mutex); }
      EXPECT_TRUE(server.Get(kJobs, "default", "a").ok());
      watch.reset();
      listener(event);
    });
  }
  ASSERT_TRUE(server.Create(kJobs, Named("a")).ok());
  EXPECT_THAT(heard.WaitFor(1), ElementsAre("+a"));
}

TEST(ApiServerTest, KeepsAUidThatItIsGiven) {
  ApiServer server;
  json job = Named("a");
  job["metadata"]["uid"] = "b1946ac9-0000-4000-8000-000000000001";
  EXPECT_EQ(UidOf(*server.Create(kJobs, job)), "b1946ac9-0000-4000-8000-000000000001");
}

TEST(ApiServerTest, DrawsUidsOfTheUsualForm) {
  ApiServer server;
  for (int i = 0; i < 50; ++i) {
    const std::string uid = UidOf(*server.Create(kJobs, Named("j" + std::to_string(i))));
    EXPECT_THAT(uid, ::testing::MatchesRegex(
                         "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
  }
}

TEST(ApiServerTest, RefusesWritesWithoutTheVersionRead) {
  ApiServer server;
  json job = *server.Create(kJobs, Named("a"));
  EXPECT_EQ(server.Create(kJobs, job).status().code(), absl::StatusCode::kInvalidArgument);
  job["metadata"].erase("resourceVersion");
  EXPECT_EQ(server.Update(kJobs, job).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(server.UpdateStatus(kJobs, json()).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(server.Create(kJobs, json::array()).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace grapevine::local
