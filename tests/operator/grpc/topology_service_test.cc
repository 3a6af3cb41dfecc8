#include "operator/grpc/topology_service.h"

#include <grpcpp/grpcpp.h>

#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/api/topology.grpc.pb.h"
#include "operator/base/check.h"
#include "operator/graph/planner.h"

namespace grapevine::grpc_service {
namespace {

using ::testing::HasSubstr;
using topology::HubMessage;
using topology::WorkerMessage;

const topology::JobKey kJob{"default", "digits"};

// A worker's end of a stream, word by word. No call waits for ever.
class RawWorker {
 public:
  explicit RawWorker(int port)
      : stub_(topology::v1::Topology::NewStub(::grpc::CreateChannel(
            fmt::format("127.0.0.1:{}", port), ::grpc::InsecureChannelCredentials()))) {
    call_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    stream_ = stub_->Session(&call_);
  }
  ~RawWorker() { call_.TryCancel(); }

  bool Say(const WorkerMessage& message) { return stream_->Write(message); }
  // False once the stream has ended.
  bool Hear(HubMessage& message) { return stream_->Read(&message); }
  // Reads to the end.
  ::grpc::Status Finish() {
    HubMessage message;
    while (Hear(message)) {
    }
    return stream_->Finish();
  }

  // The id that is assigned; 0 for none.
  uint64_t Register(const std::string& pod, uint64_t member = 0) {
    WorkerMessage message;
    auto& registration = *message.mutable_register_();
    registration.set_namespace_(kJob.name_space);
    registration.set_job(kJob.name);
    registration.set_pod(pod);
    registration.set_pod_uid("uid-of-" + pod);
    registration.set_address(pod + ":1");
    registration.set_member(member);
    if (member != 0) registration.set_job_uid("u1");
    HubMessage answer;
    return Say(message) && Hear(answer) ? answer.assign().member() : 0;
  }

 private:
  const std::unique_ptr<topology::v1::Topology::Stub> stub_;
  ::grpc::ClientContext call_;
  std::unique_ptr<::grpc::ClientReaderWriter<WorkerMessage, HubMessage>> stream_;
};

class TopologyServiceTest : public ::testing::Test {
 protected:
  TopologyServiceTest() {
    hub_.EnsureJob(kJob, {.uid = "u1", .spec_json = "{}", .batch_size = 10, .data_epochs = 1});
    auto server = TopologyServer::Start(hub_, {});
    GRAPEVINE_CHECK(server.ok());
    server_ = *std::move(server);
  }

  // Says that it has built its model, and waits until the hub has heard it.
  bool Build(RawWorker& worker) {
    MutexLock lock(mutex_);
    WorkerMessage built;
    built.mutable_built()->set_samples(100);
    const int before = changes_;
    if (!worker.Say(built)) return false;
    const Time deadline = clock_.Now() + 60s;
    while (changes_ == before && clock_.Now() < deadline) changed_.WaitUntil(mutex_, deadline);
    return changes_ > before;
  }
  // Waits until the hub has no stream of the worker.
  bool AwaitBroken() {
    MutexLock lock(mutex_);
    const Time deadline = clock_.Now() + 30s;
    while (Observe().registrants.at(0).connected && clock_.Now() < deadline) {
      changed_.WaitUntil(mutex_, deadline);
    }
    return !Observe().registrants.at(0).connected;
  }
  void MakeMember(topology::MemberId id) {
    graph::Rng rng(1);
    topology::Directives directives;
    directives.publish = topology::Publication{
        .graph = graph::Plan({}, std::vector{id}, {}, rng).next, .changed = {id}};
    hub_.Apply(kJob, directives);
  }
  topology::Snapshot Observe() { return hub_.Observe(kJob); }

  const RealClock clock_;
  Mutex mutex_;
  CondVar changed_;
  int changes_ ABSL_GUARDED_BY(mutex_) = 0;
  topology::Hub hub_{clock_, [this](const topology::JobKey&) {
                       MutexLock lock(mutex_);
                       ++changes_;
                       changed_.NotifyAll();
                     }};
  std::unique_ptr<TopologyServer> server_;
};

TEST_F(TopologyServiceTest, GivesEachStreamAMemberOfItsOwn) {
  RawWorker first(server_->port());
  RawWorker second(server_->port());
  EXPECT_EQ(first.Register("p0"), 1u);
  EXPECT_EQ(second.Register("p1"), 2u);
}

TEST_F(TopologyServiceTest, OfTwoStreamsThatClaimAMemberTheLaterHasIt) {
  RawWorker first(server_->port());
  ASSERT_EQ(first.Register("p0"), 1u);
  ASSERT_TRUE(Build(first));
  MakeMember(1);
  RawWorker second(server_->port());
  EXPECT_EQ(second.Register("p0", 1), 1u);
  EXPECT_TRUE(first.Finish().ok());  // closed in order
  ASSERT_EQ(Observe().registrants.size(), 1u);
  EXPECT_TRUE(Observe().registrants[0].connected);  // the end of the first is not its member's
  EXPECT_FALSE(Observe().registrants[0].rules.broken_since);
  HubMessage message;
  EXPECT_TRUE(second.Hear(message));
  EXPECT_TRUE(message.has_view());
}

TEST_F(TopologyServiceTest, AStrangerDoesNotGetTheMemberThatItClaims) {
  RawWorker first(server_->port());
  ASSERT_EQ(first.Register("p0"), 1u);
  MakeMember(1);
  RawWorker second(server_->port());
  EXPECT_EQ(second.Register("p1", 1), 2u);
  HubMessage message;
  ASSERT_TRUE(first.Hear(message));  // still served
  EXPECT_TRUE(message.has_view());
}

TEST_F(TopologyServiceTest, AMessageThatIsTooLargeEndsItsStreamAlone) {
  RawWorker fine(server_->port());
  ASSERT_EQ(fine.Register("p0"), 1u);
  RawWorker large(server_->port());
  EXPECT_EQ(large.Register(std::string(8 << 20, 'p')), 0u);
  EXPECT_EQ(large.Finish().error_code(), ::grpc::StatusCode::RESOURCE_EXHAUSTED);
  RawWorker next(server_->port());
  EXPECT_EQ(next.Register("p1"), 2u);  // the large one was never heard
  MakeMember(1);
  HubMessage message;
  EXPECT_TRUE(fine.Hear(message));
}

TEST_F(TopologyServiceTest, AStreamThatBreaksTheProtocolIsClosedInOrder) {
  RawWorker worker(server_->port());
  WorkerMessage report;
  report.mutable_report();
  ASSERT_TRUE(worker.Say(report));
  EXPECT_TRUE(worker.Finish().ok());
}

TEST_F(TopologyServiceTest, AWorkerThatDoesNotReadIsCutOff) {
  RawWorker worker(server_->port());
  ASSERT_EQ(worker.Register("p0"), 1u);
  ASSERT_TRUE(Build(worker));
  topology::Directives directives;
  directives.assign = {
      {.id = 1, .role = membership::Role::kCheckpoint, .checkpoint = std::string(16 << 10, 'c')}};
  constexpr size_t kSent = 8 * TopologyServer::kMaxQueued;
  for (size_t i = 0; i < kSent; ++i) hub_.Apply(kJob, directives);
  EXPECT_TRUE(AwaitBroken());  // although it still reads nothing
}

TEST_F(TopologyServiceTest, ItsEndClosesEveryStreamAndTheHubLivesOn) {
  RawWorker worker(server_->port());
  ASSERT_EQ(worker.Register("p0"), 1u);
  ASSERT_TRUE(Build(worker));
  MakeMember(1);
  server_.reset();
  EXPECT_FALSE(worker.Finish().ok());
  ASSERT_EQ(Observe().registrants.size(), 1u);
  EXPECT_FALSE(Observe().registrants[0].connected);
  EXPECT_TRUE(Observe().registrants[0].rules.member);
}

TEST_F(TopologyServiceTest, APortThatIsTakenIsSaidSo) {
  const std::string address = fmt::format("127.0.0.1:{}", server_->port());
  const auto second = TopologyServer::Start(hub_, {.listen = address});
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(address));
}

}  // namespace
}  // namespace grapevine::grpc_service
