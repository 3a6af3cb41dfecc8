// What a client must live through that happens once in a million calls.

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/base/mutex.h"
#include "operator/kube/http_api_client.h"
#include "tests/operator/kube/scripted_server.h"

namespace grapevine::kube {
namespace {

using controller::ApiErrorOf;
using controller::Watch;
using controller::WatchEvent;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

const controller::Resource kPods{"", "v1", "pods"};
const RealClock kClock;

json Pod(const std::string& name) {
  return {{"metadata", {{"namespace", "ml"}, {"name", name}, {"resourceVersion", "5"}}}};
}

std::string Frame(const std::string& name) {
  return json({{"type", "ADDED"}, {"object", Pod(name)}}).dump() + "\n";
}

std::unique_ptr<HttpApiClient> ClientOf(const ScriptedServer& server, RunPlugin run_plugin = {}) {
  Access access{.server = server.url()};
  if (run_plugin) access.exec = ExecPlugin{.command = "login", .api_version = "v"};
  return std::make_unique<HttpApiClient>(access, &kClock,
                                         HttpApiClientOptions{.run_plugin = run_plugin});
}

// Answers each request of each connection by `answer`.
std::function<void(Peer&, int)> Each(std::function<void(Peer&, const std::string&)> answer) {
  return [answer = std::move(answer)](Peer& peer, int) {
    for (std::string request; !(request = peer.Read()).empty();) answer(peer, request);
  };
}

// Keeps what it heard last, and wakes who waits for it. Thread-safe.
class Last {
 public:
  void Hear(const WatchEvent& event) {
    MutexLock lock(mutex_);
    event_ = event.object;
    changed_.NotifyAll();
  }
  json Wait() {
    MutexLock lock(mutex_);
    while (event_.is_null()) changed_.Wait(mutex_);
    return event_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  json event_ ABSL_GUARDED_BY(mutex_);
};

// The library's doing; it is names that are no surprise which make it harmless.
TEST(ClientTroubles, AWriteComesTwiceWhenTheServerClosesAConnectionThatWasIdle) {
  std::atomic<bool> closed = false;
  std::atomic<int> requests = 0;
  ScriptedServer server([&](Peer& peer, int) {
    for (int i = 0; !peer.Read().empty(); ++i) {
      ++requests;
      if (i > 0 && !closed.exchange(true)) return;
      peer.Answer(201, Pod("a").dump());
    }
  });
  const auto client = ClientOf(server);
  int created = 0;
  for (; created < 100 && !closed; ++created) {
    ASSERT_TRUE(client->Create(kPods, Pod("a")).ok());
  }
  EXPECT_EQ(requests, created + 1);
}

TEST(ClientTroubles, ARefusalThatLastsIsTriedTenTimesAndALongWaitNotAtAll) {
  std::atomic<int> requests = 0;
  std::string after = "0";
  ScriptedServer server(Each([&](Peer& peer, const std::string&) {
    ++requests;
    peer.Answer(429, "", "Retry-After: " + after + "\r\n");
  }));
  const auto client = ClientOf(server);
  EXPECT_EQ(client->Create(kPods, Pod("a")).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(requests, 10);
  after = "31";
  const absl::Status status = client->Create(kPods, Pod("a")).status();
  EXPECT_EQ(ApiErrorOf(status)->retry_after, 31s);
  EXPECT_EQ(requests, 11);
}

TEST(ClientTroubles, ACallThatIsUnauthorizedIsMadeOnceMoreWithWhatThePluginPrintsThen) {
  std::atomic<int> requests = 0;
  ScriptedServer server(Each([&](Peer& peer, const std::string& request) {
    ++requests;
    peer.Answer(request.find("Bearer p2") != std::string::npos ? 200 : 401, Pod("a").dump());
  }));
  int runs = 0;
  const auto plugin = [&](const ExecPlugin&, const std::string&) -> absl::StatusOr<std::string> {
    return json({{"apiVersion", "v"},
                 {"kind", "ExecCredential"},
                 {"status", {{"token", "p" + std::to_string(++runs)}}}})
        .dump();
  };
  EXPECT_TRUE(ClientOf(server, plugin)->Create(kPods, Pod("a")).ok());
  EXPECT_EQ(requests, 2);
  const absl::Status never = ClientOf(server, plugin)->Create(kPods, Pod("a")).status();
  EXPECT_EQ(never.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(requests, 4);
  EXPECT_EQ(runs, 4);
}

TEST(ClientTroubles, ARedirectIsNotFollowed) {
  ScriptedServer server(Each([](Peer& peer, const std::string&) {
    peer.Answer(302, "elsewhere", "Location: http://127.0.0.1:1/\r\n");
  }));
  const absl::Status status = ClientOf(server)->Get(kPods, "ml", "a").status();
  EXPECT_EQ(ApiErrorOf(status)->http_status, 302);
}

TEST(ClientTroubles, AnAnswerThatIsNoObjectIsUnavailable) {
  for (const char* body : {"", "[]", "<html>", "{\"half\":"}) {
    ScriptedServer server(Each([&](Peer& peer, const std::string&) { peer.Answer(200, body); }));
    EXPECT_EQ(ClientOf(server)->Update(kPods, Pod("a")).status().code(),
              absl::StatusCode::kUnavailable);
  }
}

TEST(ClientTroubles, AListThatIsCutOffIsReadAgainFromItsBeginning) {
  const std::string list =
      json({{"kind", "PodList"}, {"items", {Pod("a"), Pod("b"), Pod("c")}}}).dump();
  ScriptedServer server([&](Peer& peer, int number) {
    peer.Read();
    if (number > 0) return peer.Answer(200, list);
    peer.BeginChunks();
    peer.Chunk(list.substr(0, list.size() * 2 / 3));
  });
  const auto read = ClientOf(server)->List(kPods, "ml", {.resource_version = "0"});
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ((*read)["items"], json({Pod("a"), Pod("b"), Pod("c")}));
}

TEST(ClientTroubles, TheServersNameIsAskedForAndTheUserWhoIsMeant) {
  std::string seen;
  ScriptedServer server(Each([&](Peer& peer, const std::string& request) {
    seen = request;
    peer.Answer(200, Pod("a").dump());
  }));
  Access access{.server = server.url(), .tls_server_name = "kube"};
  access.impersonate = {.user = "jane", .uid = "7", .groups = {"dev"}, .extra = {{"team", {"x"}}}};
  HttpApiClient client(access, &kClock, {});
  ASSERT_TRUE(client.Get(kPods, "ml", "a").ok());
  EXPECT_THAT(seen,
              AllOf(HasSubstr("Host:kube\r\n"), HasSubstr("User-Agent:grapevine/"),
                    HasSubstr("Impersonate-User:jane"), HasSubstr("Impersonate-Uid:7"),
                    HasSubstr("Impersonate-Group:dev"), HasSubstr("Impersonate-Extra-team:x")));
}

TEST(ClientTroubles, AWatchPassesOnHowLongTheServerWantsToBeLeftAlone) {
  ScriptedServer server(
      Each([](Peer& peer, const std::string&) { peer.Answer(429, "", "Retry-After: 7\r\n"); }));
  const auto client = ClientOf(server);
  Last last;
  const auto watch = client->OpenWatch(kPods, "ml", {.resource_version = "5"},
                                       [&](const WatchEvent& event) { last.Hear(event); });
  const json end = last.Wait();
  EXPECT_EQ(end["code"], 429);
  EXPECT_EQ(end["details"]["retryAfterSeconds"], 7);
}

TEST(ClientTroubles, AWatchThatMakesNoSenseIsHungUpOn) {
  Mutex mutex;
  CondVar changed;
  bool hung_up = false;
  ScriptedServer server([&](Peer& peer, int) {
    peer.Read();
    peer.BeginChunks();
    peer.Chunk("no event\n");
    peer.Read();
    MutexLock lock(mutex);
    hung_up = true;
    changed.NotifyAll();
  });
  const auto client = ClientOf(server);
  Last last;
  const auto watch = client->OpenWatch(kPods, "ml", {.resource_version = "5"},
                                       [&](const WatchEvent& event) { last.Hear(event); });
  EXPECT_EQ(last.Wait()["code"], 503);
  MutexLock lock(mutex);
  while (!hung_up) changed.Wait(mutex);
}

TEST(ClientTroubles, AWatchMayBeEndedByItsOwnCallbackAndItsClientRightAfter) {
  ScriptedServer server([](Peer& peer, int) {
    peer.Read();
    peer.BeginChunks();
    for (int i = 0; i < 100; ++i) peer.Chunk(Frame("a"));
    peer.Read();
  });
  for (int i = 0; i < 10; ++i) {
    Mutex mutex;
    CondVar changed;
    std::unique_ptr<Watch> watch;
    int heard = 0;
    const auto client = ClientOf(server);  // the first to go, while the reader may still be at work
    auto opening =
        client->OpenWatch(kPods, "ml", {.resource_version = "5"}, [&](const WatchEvent&) {
          MutexLock lock(mutex);
          while (watch == nullptr) changed.Wait(mutex);
          ++heard;
          watch.reset();
          changed.NotifyAll();
        });
    ASSERT_TRUE(opening.ok());
    MutexLock lock(mutex);
    watch = *std::move(opening);
    changed.NotifyAll();
    while (heard == 0) changed.Wait(mutex);
    EXPECT_EQ(heard, 1);
  }
}

}  // namespace
}  // namespace grapevine::kube
