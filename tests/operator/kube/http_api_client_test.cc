#include "operator/kube/http_api_client.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/base/mutex.h"
#include "tests/operator/kube/scripted_server.h"

namespace grapevine::kube {
namespace {

using controller::Resource;
using controller::Watch;
using controller::WatchEvent;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const Resource kPods{"", "v1", "pods"};
const Resource kJobs{"grapevine.dev", "v1alpha1", "trainingjobs"};

json Pod(const std::string& name) {
  return {{"metadata", {{"namespace", "ml"}, {"name", name}, {"resourceVersion", "5"}}}};
}

std::string Refusal(int code, const std::string& reason, const std::string& message) {
  return json({{"kind", "Status"}, {"code", code}, {"reason", reason}, {"message", message}})
      .dump();
}

// The events of a watch, and its end as "!code". Thread-safe.
class Heard {
 public:
  void Hear(const WatchEvent& event) {
    MutexLock lock(mutex_);
    lines_.push_back(event.type == WatchEvent::Type::kError
                         ? "!" + std::to_string(event.object.value("code", 0))
                         : event.object["metadata"].value("name", ""));
    changed_.NotifyAll();
  }
  std::vector<std::string> WaitFor(size_t count) {
    MutexLock lock(mutex_);
    while (lines_.size() < count) changed_.Wait(mutex_);
    return lines_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<std::string> lines_ ABSL_GUARDED_BY(mutex_);
};

class HttpApiClientTest : public ::testing::Test {
 protected:
  // A server that does so, and a client of it.
  void Serve(std::function<void(Peer&, int)> script, Duration silence = 30s) {
    server_ = std::make_unique<ScriptedServer>(std::move(script));
    client_ = std::make_unique<HttpApiClient>(
        Access{.server = server_->url(), .token = {.text = "secret"}}, &clock_,
        HttpApiClientOptions{.silence = silence});
  }
  // The same for each request of each connection.
  void ServeEach(std::function<void(Peer&, const std::string& request)> answer) {
    Serve([answer = std::move(answer)](Peer& peer, int) {
      for (std::string request; !(request = peer.Read()).empty();) answer(peer, request);
    });
  }
  absl::StatusOr<std::unique_ptr<Watch>> OpenWatch(Heard& heard) {
    return client_->OpenWatch(kPods, "ml", {.resource_version = "5"},
                              [&heard](const WatchEvent& event) { heard.Hear(event); });
  }

  RealClock clock_;
  std::unique_ptr<ScriptedServer> server_;
  std::unique_ptr<HttpApiClient> client_;
};

std::string Frame(const std::string& name) {
  return json({{"type", "ADDED"}, {"object", Pod(name)}}).dump() + "\n";
}

TEST_F(HttpApiClientTest, SaysWhoItIsAndKeepsItsConnections) {
  std::atomic<int> requests = 0;
  ServeEach([&](Peer& peer, const std::string& request) {
    EXPECT_THAT(request, AllOf(HasSubstr("Authorization:Bearer secret"), HasSubstr("User-Agent")));
    ++requests;
    peer.Answer(200, Pod("a").dump());
  });
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(client_->Get(kPods, "ml", "a").ok());
  EXPECT_EQ(requests, 20);
  EXPECT_LE(server_->connections(), 4);
}

TEST_F(HttpApiClientTest, EachVerbGoesWhereItBelongs) {
  std::vector<std::string> seen;
  ServeEach([&](Peer& peer, const std::string& request) {
    seen.push_back(request.substr(0, request.find(" HTTP")));
    peer.Answer(200, Pod("a").dump());
  });
  const json pod = Pod("a");
  (void)client_->Get(kJobs, "ml", "a");
  (void)client_->Create(kPods, pod);
  (void)client_->Update(kPods, pod);
  (void)client_->UpdateStatus(kJobs, pod);
  (void)client_->Patch(kPods, "ml", "a", {});
  (void)client_->Apply(kPods, pod);
  (void)client_->Delete(kPods, "ml", "a", {});
  const std::string pods = "/api/v1/namespaces/ml/pods";
  const std::string jobs = "/apis/grapevine.dev/v1alpha1/namespaces/ml/trainingjobs";
  EXPECT_THAT(seen, ElementsAre("GET " + jobs + "/a", "POST " + pods, "PUT " + pods + "/a",
                                "PUT " + jobs + "/a/status", "PATCH " + pods + "/a",
                                "PATCH " + pods + "/a?fieldManager=grapevine&force=true",
                                "DELETE " + pods + "/a"));
}

TEST_F(HttpApiClientTest, AGetWhoseConnectionBreaksIsRepeated) {
  Serve([](Peer& peer, int number) {
    peer.Read();
    if (number == 0) return peer.Reset();
    peer.Answer(200, Pod("a").dump());
  });
  EXPECT_TRUE(client_->Get(kPods, "ml", "a").ok());
  EXPECT_EQ(server_->connections(), 2);
}

TEST_F(HttpApiClientTest, AWriteWhoseConnectionBreaksIsNotRepeated) {
  Serve([](Peer& peer, int) {
    peer.Read();
    peer.Reset();
  });
  EXPECT_EQ(client_->Create(kPods, Pod("b")).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(server_->connections(), 1);
}

// The library may send it again by itself when the server hung up between two calls.
TEST_F(HttpApiClientTest, AWriteOnAConnectionThatTheServerClosedIsDoneOrUnavailable) {
  Serve([](Peer& peer, int) {
    peer.Read();
    peer.Answer(200, Pod("a").dump());
  });
  for (int i = 0; i < 20; ++i) {
    const absl::Status status = client_->Create(kPods, Pod("a")).status();
    EXPECT_TRUE(status.ok() || absl::IsUnavailable(status)) << status;
  }
}

TEST_F(HttpApiClientTest, WhatTheServerAsksToRepeatLaterIsRepeated) {
  std::atomic<int> requests = 0;
  ServeEach([&](Peer& peer, const std::string& request) {
    EXPECT_THAT(request, HasSubstr("POST"));
    if (++requests < 3) {
      return peer.Answer(429, Refusal(429, "TooManyRequests", "slow down"), "Retry-After: 0\r\n");
    }
    peer.Answer(201, Pod("a").dump());
  });
  EXPECT_TRUE(client_->Create(kPods, Pod("a")).ok());
  EXPECT_EQ(requests, 3);
}

TEST_F(HttpApiClientTest, AnErrorWithoutSuchAWordIsTheCallersToRepeat) {
  std::atomic<int> requests = 0;
  ServeEach([&](Peer& peer, const std::string&) {
    ++requests;
    peer.Answer(500, "etcd is away");
  });
  const absl::Status status = client_->Get(kPods, "ml", "a").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("etcd is away"));
  EXPECT_EQ(requests, 1);
}

TEST_F(HttpApiClientTest, ARefusalIsOneClearLine) {
  std::string body;
  int code = 0;
  ServeEach([&](Peer& peer, const std::string&) { peer.Answer(code, body); });
  const struct {
    int code;
    std::string body;
    const char* says;
  } cases[] = {
      {401, Refusal(401, "Unauthorized", "Unauthorized"), "has expired or belongs to another"},
      {403, Refusal(403, "Forbidden", "bob cannot list pods"),
       "bob cannot list pods; grant it by a ClusterRole"},
      {404, "404 page not found", "apply crds/ first"},
  };
  for (const auto& each : cases) {
    code = each.code;
    body = each.body;
    const absl::Status status = client_->List(kJobs, "", {}).status();
    EXPECT_THAT(std::string(status.message()), HasSubstr(each.says));
    EXPECT_EQ(controller::ApiErrorOf(status)->http_status, each.code);
  }
}

TEST_F(HttpApiClientTest, AServerThatIsNotThereOrDoesNotAnswerIsSaidSo) {
  Serve(
      [](Peer& peer, int) {
        while (!peer.Read().empty()) continue;
      },
      200ms);
  const absl::Status silent = client_->Get(kPods, "ml", "a").status();
  EXPECT_EQ(silent.code(), absl::StatusCode::kDeadlineExceeded) << silent;
  const std::string url = server_->url();
  server_.reset();
  HttpApiClient nobody(Access{.server = url}, &clock_, {});
  const absl::Status refused = nobody.Create(kPods, Pod("a")).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr(url + " cannot be reached"));
}

TEST_F(HttpApiClientTest, AListComesInPagesAndStartsAnewWhenTheRestIsGone) {
  std::vector<std::string> seen;
  const auto page = [](const char* name, const char* proceed) {
    return json({{"kind", "PodList"},
                 {"metadata", {{"resourceVersion", "7"}, {"continue", proceed}}},
                 {"items", {Pod(name)}}})
        .dump();
  };
  bool gone = false;
  ServeEach([&](Peer& peer, const std::string& request) {
    seen.push_back(request.substr(0, request.find(" HTTP")));
    if (request.find("continue=b%2Fc") != std::string::npos) {
      return gone ? peer.Answer(410, Refusal(410, "Expired", "too old"))
                  : peer.Answer(200, page("b", ""));
    }
    const bool whole = request.find("limit=") == std::string::npos;
    peer.Answer(200, page("a", whole ? "" : "b/c"));
  });
  const auto list = client_->List(kPods, "", {});
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ((*list)["items"].size(), 2u);
  EXPECT_THAT(
      seen, ElementsAre("GET /api/v1/pods?limit=500", "GET /api/v1/pods?limit=500&continue=b%2Fc"));
  gone = true;
  const auto again = client_->List(kPods, "", {.selector = "a=b,c"});
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ((*again)["items"].size(), 1u);
  EXPECT_EQ(seen.back(), "GET /api/v1/pods?labelSelector=a%3Db%2Cc") << "no older than asked for";
}

TEST_F(HttpApiClientTest, AnAnswerThatIsCutOffIsNoAnswer) {
  Serve([](Peer& peer, int) {
    peer.Read();
    peer.Send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"items\":[");
  });
  EXPECT_FALSE(client_->List(kPods, "", {}).ok());
  EXPECT_FALSE(client_->Create(kPods, Pod("a")).ok());
}

TEST_F(HttpApiClientTest, AWatchGetsItsEventsHoweverTheyAreCutAndThenItsEnd) {
  Serve([](Peer& peer, int) {
    EXPECT_THAT(peer.Read(), AllOf(HasSubstr("watch=true"), HasSubstr("allowWatchBookmarks=true"),
                                   HasSubstr("resourceVersion=5")));
    peer.BeginChunks();
    const std::string frames = Frame("a") + Frame("b");
    for (size_t i = 0; i < frames.size(); i += 7) peer.Chunk(frames.substr(i, 7));
    peer.Chunk(Frame("c") + Frame("d"));
    peer.Send("0\r\n\r\n");
  });
  Heard heard;
  const auto watch = OpenWatch(heard);
  EXPECT_THAT(heard.WaitFor(5), ElementsAre("a", "b", "c", "d", "!0"));
}

TEST_F(HttpApiClientTest, AWatchThatIsCutOffInAnEventIsAnError) {
  Serve([](Peer& peer, int number) {
    peer.Read();
    peer.BeginChunks();
    peer.Chunk(Frame("a") + Frame("b").substr(0, 20));
    if (number == 0) return peer.Reset();
    peer.Send("0\r\n\r\n");
  });
  for (int i = 0; i < 2; ++i) {
    Heard heard;
    const auto watch = OpenWatch(heard);
    EXPECT_THAT(heard.WaitFor(2), ElementsAre("a", "!503"));
  }
}

TEST_F(HttpApiClientTest, AWatchThatIsRefusedOrEndsWithAnErrorSaysItsCode) {
  Serve([](Peer& peer, int number) {
    peer.Read();
    if (number == 0) return peer.Answer(410, Refusal(410, "Expired", "too old"));
    peer.BeginChunks();
    peer.Chunk("{\"type\":\"ERROR\",\"object\":" + Refusal(410, "Expired", "too old") + "}\n");
    peer.Send("0\r\n\r\n");
  });
  for (int i = 0; i < 2; ++i) {
    Heard heard;
    const auto watch = OpenWatch(heard);
    EXPECT_THAT(heard.WaitFor(1), ElementsAre("!410"));
  }
}

TEST_F(HttpApiClientTest, AQuietWatchIsNotGivenUpOnAsACallIs) {
  Serve(
      [](Peer& peer, int number) {
        peer.Read();
        peer.BeginChunks();
        std::this_thread::sleep_for(600ms);
        if (number == 0) peer.Chunk(Frame("late"));
        peer.Read();
      },
      200ms);
  Heard heard;
  const auto watch = OpenWatch(heard);
  EXPECT_THAT(heard.WaitFor(1), ElementsAre("late"));
}

TEST_F(HttpApiClientTest, AWatchEndsAtOnceThoughItWaitsForTheServer) {
  std::atomic<int> reading = 0;
  Serve([&](Peer& peer, int) {
    peer.Read();
    peer.BeginChunks();
    ++reading;
    peer.Chunk(Frame("a"));
    peer.Read();
  });
  for (int i = 0; i < 10; ++i) {
    Heard heard;
    auto watch = OpenWatch(heard);
    heard.WaitFor(1);
    watch->reset();
    EXPECT_THAT(heard.WaitFor(1), ElementsAre("a"));
  }
  EXPECT_EQ(reading, 10);
}

TEST_F(HttpApiClientTest, ManyCallsAtOnceAndQuietWatchesDoNotHoldEachOtherUp) {
  ServeEach([](Peer& peer, const std::string& request) {
    if (request.find("watch=true") != std::string::npos) return peer.BeginChunks();
    peer.Answer(200, Pod("a").dump());
  });
  Heard heard;
  std::vector<std::unique_ptr<Watch>> watches;
  for (int i = 0; i < 8; ++i) watches.push_back(*OpenWatch(heard));
  std::atomic<int> answered = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 64; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 5; ++j) answered += client_->Create(kPods, Pod("a")).ok() ? 1 : 0;
    });
  }
  threads.clear();
  EXPECT_EQ(answered, 320);
}

}  // namespace
}  // namespace grapevine::kube
