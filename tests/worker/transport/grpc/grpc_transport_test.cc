#include "worker/transport/grpc/grpc_transport.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <thread>

#include "operator/base/check.h"
#include "worker/transport/grpc/frame_bytes.h"

namespace grapevine::transport {
namespace {

using gossip::Kind;
using ::testing::AllOf;
using ::testing::HasSubstr;
using Bytes = std::vector<std::byte>;

constexpr Duration kPatience = 20s;
constexpr char kChildPeer[] = "GRAPEVINE_TEST_CHILD_PEER";

Time Now() { return std::chrono::steady_clock::now(); }
Identity Member(MemberId id) { return {.job_uid = "job", .member = id, .layout_hash = 7}; }

std::unique_ptr<GrpcTransport> Make(MemberId id, const GrpcOptions& options = {}) {
  auto transport = GrpcTransport::Create(options);
  GRAPEVINE_CHECK(transport.ok());
  (*transport)->SetIdentity(Member(id));
  return *std::move(transport);
}

// Polls until an event of `kind` comes; an event with an empty reason of kFrame when none does.
Event Await(Transport& transport, Event::Kind kind) {
  const Time deadline = Now() + kPatience;
  std::vector<Event> events;
  while (Now() < deadline) {
    transport.Poll(deadline, events);
    for (Event& event : events) {
      if (event.kind == kind) return std::move(event);
    }
    events.clear();
  }
  ADD_FAILURE() << "the event never came";
  return {};
}

Frame Control(Kind kind) {
  return {.header = {.kind = kind, .exchange = {.active = 1, .counter = 1}}, .payload = {}};
}

Frame BigFrame(std::shared_ptr<Bytes> bytes) {
  return {.header = {.kind = Kind::kChunk}, .payload = {.pieces = {*bytes}, .owner = bytes}};
}

Bytes HelloFrom(Identity sender, MemberId to) {
  return EncodeHello({.sender = std::move(sender), .receiver = to});
}

Bytes Encoded(const gossip::Header& header) {
  Bytes bytes(gossip::kHeaderBytes);
  gossip::EncodeHeader(header, std::span<std::byte, gossip::kHeaderBytes>(bytes));
  return bytes;
}

// A client that knows gRPC and nothing else: says what it is told and waits for the end of the
// stream.
class RawClient {
 public:
  RawClient(const std::string& address, std::vector<Bytes> messages,
            std::string method = kExchangeMethod)
      : thread_([this, address, messages = std::move(messages), method] {
          Run(address, messages, method);
        }) {}

  // Once it has ended.
  const grpc::Status& Status() {
    if (thread_.joinable()) thread_.join();
    return status_;
  }
  bool ended() const { return ended_; }

 private:
  void Run(const std::string& address, const std::vector<Bytes>& messages,
           const std::string& method) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    grpc::GenericStub stub(
        grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments));
    grpc::CompletionQueue queue;
    grpc::ClientContext call;
    call.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    auto stream = stub.PrepareCall(&call, method, &queue);
    const auto wait = [&queue] {
      void* tag;
      bool ok = false;
      return queue.Next(&tag, &ok) && ok;
    };
    stream->StartCall(this);
    bool alive = wait();
    for (size_t i = 0; alive && i < messages.size(); ++i) {
      stream->Write(ToByteBuffer(messages[i]), this);
      alive = wait();
    }
    grpc::ByteBuffer answer;
    do {
      stream->Read(&answer, this);
    } while (wait());
    stream->Finish(&status_, this);
    wait();
    queue.Shutdown();
    while (wait()) {
    }
    ended_ = true;
  }

  grpc::Status status_;
  std::atomic<bool> ended_ = false;
  std::jthread thread_;
};

TEST(GrpcTransport, GarbageInPlaceOfAHelloIsRejectedWithAReason) {
  const auto transport = Make(2);
  for (const Bytes& garbage : {Bytes{}, Bytes(3), Bytes(100, std::byte{'x'}), Bytes(3'000'000)}) {
    RawClient client(transport->address(), {garbage});
    const Event event = Await(*transport, Event::Kind::kRejected);
    EXPECT_EQ(event.peer, 0u);
    EXPECT_THAT(event.reason, HasSubstr("not a Hello"));
    EXPECT_EQ(client.Status().error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  }
}

TEST(GrpcTransport, AStrangersHelloIsRejectedAtBothEndsWithTheReason) {
  const auto transport = Make(2);
  Identity foreign = Member(1), other_model = Member(1);
  foreign.job_uid = "theirs";
  other_model.layout_hash = 8;
  const std::vector<std::pair<Bytes, std::string>> cases = {
      {HelloFrom(foreign, 2), "member of job 'theirs', this end is of 'job'"},
      {HelloFrom(other_model, 2), "layout hash 0000000000000008"},
      {HelloFrom(Member(1), 3), "meant for member 3, this end is member 2"},
      {HelloFrom(Member(2), 2), "calls itself member 2"},
      {EncodeHello({.version = 2, .sender = Member(1), .receiver = 2}), "protocol version 2"},
  };
  for (const auto& [hello, reason] : cases) {
    RawClient client(transport->address(), {hello});
    EXPECT_THAT(Await(*transport, Event::Kind::kRejected).reason, HasSubstr(reason));
    EXPECT_THAT(client.Status().error_message(), HasSubstr(reason));
  }
}

TEST(GrpcTransport, AMemberThatSendsNoFrameIsRejected) {
  const auto transport = Make(2);
  Bytes cut = Encoded({.kind = Kind::kOffer});
  cut.pop_back();
  Bytes unknown = Encoded({.kind = Kind::kOffer});
  unknown[0] = std::byte{0xee};
  const Bytes promised = Encoded({.kind = Kind::kChunk, .payload_bytes = 100});
  const Bytes huge(2 << 20);
  for (const Bytes& message : {cut, unknown, promised, huge}) {
    RawClient client(transport->address(), {HelloFrom(Member(1), 2), message});
    const Event event = Await(*transport, Event::Kind::kRejected);
    EXPECT_EQ(event.peer, 1u);
    EXPECT_NE(event.reason, "");
    EXPECT_FALSE(client.Status().ok());
  }
}

TEST(GrpcTransport, AMessageOverTheReceiveLimitBreaksTheStream) {
  const auto transport = Make(2);
  RawClient client(transport->address(), {HelloFrom(Member(1), 2), Bytes(17 << 20)});
  EXPECT_EQ(Await(*transport, Event::Kind::kPeerLost).peer, 1u);
  EXPECT_FALSE(client.Status().ok());
}

TEST(GrpcTransport, OtherMethodsAreNotServed) {
  const auto transport = Make(2);
  RawClient client(transport->address(), {HelloFrom(Member(1), 2)}, "/grpc.health.v1.Health/Watch");
  std::atomic<bool> done = false;
  std::jthread waiter([&] {
    EXPECT_EQ(client.Status().error_code(), grpc::StatusCode::UNIMPLEMENTED);
    done = true;
    transport->Wake();
  });
  std::vector<Event> events;
  while (!done) transport->Poll(Now() + kPatience, events);
  EXPECT_TRUE(events.empty());
}

TEST(GrpcTransport, AStreamWithoutAHelloIsGivenUp) {
  const auto transport = Make(2);
  RawClient client(transport->address(), {});
  EXPECT_THAT(Await(*transport, Event::Kind::kRejected).reason, HasSubstr("no Hello came"));
  EXPECT_FALSE(client.Status().ok());
}

TEST(GrpcTransport, AStreamWithoutAHelloIsGivenUpHoweverBusyThisEndIs) {
  const auto transport = Make(2);
  RawClient client(transport->address(), {});
  std::vector<Event> events;
  const Time deadline = Now() + kPatience;
  while (events.empty() && Now() < deadline) {
    // The next Poll finds an event and waits for no time.
    transport->Wake();
    std::this_thread::sleep_for(1ms);
    transport->Poll(deadline, events);
  }
  ASSERT_EQ(events.size(), 1u);
  EXPECT_THAT(events[0].reason, HasSubstr("no Hello came"));
  EXPECT_FALSE(client.Status().ok());
}

TEST(GrpcTransport, APeerThatNeverAnswersIsLost) {
  const int silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  ASSERT_EQ(bind(silent, reinterpret_cast<sockaddr*>(&address), length), 0);
  ASSERT_EQ(listen(silent, 1), 0);
  ASSERT_EQ(getsockname(silent, reinterpret_cast<sockaddr*>(&address), &length), 0);
  const auto transport = Make(1);
  transport->SetAddress(2, "127.0.0.1:" + std::to_string(ntohs(address.sin_port)));
  transport->Send(2, Control(Kind::kOffer));
  EXPECT_EQ(Await(*transport, Event::Kind::kPeerLost).peer, 2u);
  close(silent);
}

TEST(GrpcTransport, AnAddressThatMeansNothingIsLost) {
  const auto transport = Make(1);
  for (const char* address : {"no such host.invalid:1", "::::", "127.0.0.1:99999", "127.0.0.1"}) {
    transport->SetAddress(2, address);
    transport->Send(2, Control(Kind::kOffer));
    EXPECT_EQ(Await(*transport, Event::Kind::kPeerLost).peer, 2u) << address;
  }
}

TEST(GrpcTransport, ATakenPortIsAnErrorThatNamesIt) {
  const auto first = Make(1);
  const auto second = GrpcTransport::Create({.listen = first->address(), .advertised_host = ""});
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(second.status().message(), HasSubstr(first->address()));
  EXPECT_FALSE(GrpcTransport::Create({.listen = "7000", .advertised_host = ""}).ok());
}

TEST(GrpcTransport, TheAdvertisedHostIsWhatPeersAreTold) {
  const auto transport =
      GrpcTransport::Create({.listen = "0.0.0.0:0", .advertised_host = "10.1.2.3"});
  ASSERT_TRUE(transport.ok());
  EXPECT_THAT((*transport)->address(), ::testing::StartsWith("10.1.2.3:"));
  EXPECT_THAT((*transport)->address(), ::testing::Not(HasSubstr(":0")));
}

TEST(GrpcTransport, APeerThatReadsNothingIsLostBeforeTheQueueGrowsWithoutBound) {
  const auto transport = Make(1);
  const auto deaf = Make(2);
  transport->SetAddress(2, deaf->address());
  for (size_t i = 0; i <= kMaxQueuedFrames; ++i) transport->Send(2, Control(Kind::kOffer));
  EXPECT_THAT(Await(*transport, Event::Kind::kPeerLost).reason, HasSubstr("4096 frames wait"));
}

TEST(GrpcTransport, StrangersAreBounded) {
  // None is given up before the last has come, however slow that is.
  auto transport = Make(2, {.greeting_timeout = 10 * kPatience});
  std::vector<std::unique_ptr<RawClient>> silent;
  for (int i = 0; i < kMaxStrangers + 3; ++i) {
    silent.push_back(std::make_unique<RawClient>(transport->address(), std::vector<Bytes>{}));
  }
  const auto refused = [&] {
    return std::ranges::any_of(silent, [](const auto& client) {
      return client->ended() && client->Status().error_code() == grpc::StatusCode::UNAVAILABLE &&
             client->Status().error_message() == "too many streams without a Hello";
    });
  };
  std::vector<Event> events;
  const Time deadline = Now() + kPatience;
  while (!refused() && Now() < deadline) transport->Poll(Now() + 10ms, events);
  EXPECT_TRUE(refused());
  EXPECT_TRUE(events.empty());
  transport.reset();
}

TEST(GrpcTransport, EndingWithOperationsUnderWayLetsEveryPayloadGo) {
  for (bool receiver_first : {false, true}) {
    auto sender = Make(1);
    auto receiver = Make(2);
    sender->SetAddress(2, receiver->address());
    auto bytes = std::make_shared<Bytes>(gossip::kMaxPayloadBytes);
    const std::weak_ptr<Bytes> watched = bytes;
    sender->Send(2, Control(Kind::kOffer));
    std::vector<Event> events;
    while (events.empty()) {  // the stream is open once the offer is here
      sender->Poll(Now() + 1ms, events);
      receiver->Poll(Now() + 1ms, events);
    }
    for (int i = 0; i < 200; ++i) sender->Send(2, BigFrame(bytes));
    bytes.reset();
    for (int i = 0; i < 20; ++i) sender->Poll(Now() + 1ms, events);
    sender->Wake();
    (receiver_first ? receiver : sender).reset();
    (receiver_first ? sender : receiver).reset();
    events.clear();
    const Time deadline = Now() + kPatience;
    while (!watched.expired() && Now() < deadline) std::this_thread::sleep_for(1ms);
    EXPECT_TRUE(watched.expired());
  }
}

TEST(GrpcTransport, ManyThreadsMayWakeIt) {
  const auto transport = Make(1);
  std::atomic<int> wakes = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 2000; ++k) {
        transport->Wake();
        ++wakes;
      }
    });
  }
  std::vector<Event> events;
  while (wakes < 8000) transport->Poll(Now() + 1ms, events);
  transport->Wake();
  transport->Poll(Now() + kPatience, events);
}

// What KilledAndStoppedPeers start of themselves: a peer that speaks once and then only answers for
// the kernel.
TEST(GrpcTransportChild, SpeaksToItsParent) {
  const char* address = getenv(kChildPeer);
  if (address == nullptr) GTEST_SKIP() << "runs as a child of other tests alone";
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const auto transport = Make(1);
  transport->SetAddress(2, address);
  transport->Send(2, Control(Kind::kOffer));
  std::vector<Event> events;
  const Time deadline = Now() + 60s;
  while (Now() < deadline) transport->Poll(deadline, events);
}

pid_t StartChild(const std::string& peer) {
  const std::string variable = std::string(kChildPeer) + "=" + peer;
  std::vector<char*> environment{const_cast<char*>(variable.c_str())};
  for (char** entry = environ; *entry != nullptr; ++entry) environment.push_back(*entry);
  environment.push_back(nullptr);
  std::string self = "/proc/self/exe", filter = "--gtest_filter=GrpcTransportChild.*";
  char* arguments[] = {self.data(), filter.data(), nullptr};
  posix_spawn_file_actions_t quiet;
  posix_spawn_file_actions_init(&quiet);
  posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  GRAPEVINE_CHECK(
      posix_spawn(&child, self.c_str(), &quiet, nullptr, arguments, environment.data()) == 0);
  posix_spawn_file_actions_destroy(&quiet);
  return child;
}

TEST(GrpcTransport, KilledAndStoppedPeersAreLost) {
  for (int signal : {SIGKILL, SIGSTOP}) {
    const auto transport = Make(2);
    const pid_t child = StartChild(transport->address());
    EXPECT_EQ(Await(*transport, Event::Kind::kFrame).peer, 1u);
    const Time struck = Now();
    kill(child, signal);
    EXPECT_EQ(Await(*transport, Event::Kind::kPeerLost).peer, 1u);
    RecordProperty(signal == SIGKILL ? "killed_noticed_ms" : "stopped_noticed_ms",
                   std::to_string((Now() - struck) / 1ms));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  }
}

}  // namespace
}  // namespace grapevine::transport
