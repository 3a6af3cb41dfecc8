#include "worker/control/topology_client.h"

#include <algorithm>
#include <future>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/graph/planner.h"
#include "operator/grpc/topology_service.h"
#include "operator/topology/hub.h"
#include "tests/worker/control/recording_parts.h"
#include "tests/worker/control/relay.h"

namespace grapevine::control {
namespace {

using ::testing::Contains;
using ::testing::Not;
using topology::RegistrantView;

constexpr Duration kPatience = 60s;
const topology::JobKey kJob{"default", "digits"};

// Does at once what it is asked, and lets others wait for it. The notes are thread-safe, the rest
// lives on the control thread.
class WillingParts final : public RecordingParts {
 public:
  void Build(const proto::Assign& assign) override {
    RecordingParts::Build(assign);
    client->Post([this, uid = assign.job_uid()](Session& session) {
      proto::Built built;
      built.set_layout_hash(layout_hash);
      built.set_samples(100);
      session.OnBuilt(uid, built);
    });
  }
  void Begin(const proto::Start& start) override {
    RecordingParts::Begin(start);
    client->Post([](Session& session) { session.OnStarted(absl::OkStatus(), 0); });
  }

  // Once `note` was noted `times` times.
  bool WaitFor(const std::string& note, int times = 1) {
    const RealClock clock;
    const Time deadline = clock.Now() + kPatience;
    MutexLock lock(mutex_);
    while (std::ranges::count(notes_, note) < times) {
      if (clock.Now() >= deadline) return false;
      noted_.WaitUntil(mutex_, deadline);
    }
    return true;
  }
  std::vector<std::string> notes() {
    MutexLock lock(mutex_);
    return notes_;
  }

  TopologyClient* client = nullptr;
  uint64_t layout_hash = 1;

 private:
  void OnNote(const std::string& note) override {
    MutexLock lock(mutex_);
    notes_.push_back(note);
    noted_.NotifyAll();
  }

  Mutex mutex_;
  CondVar noted_;
  std::vector<std::string> notes_ ABSL_GUARDED_BY(mutex_);
};

struct Worker {
  Worker(const std::string& hub, const std::string& pod, const Clock& clock)
      : client({.hub_address = hub,
                .session = {.name_space = kJob.name_space,
                            .job = kJob.name,
                            .pod = pod,
                            .pod_uid = "uid-of-" + pod,
                            .address = pod + ":1"}},
               parts, clock) {
    parts.client = &client;
  }

  uint64_t member() {
    std::promise<uint64_t> found;
    client.Post([&](Session& session) { found.set_value(session.member()); });
    return found.get_future().get();
  }

  WillingParts parts;
  TopologyClient client;
};

// A worker's control thread, a real stream, and the hub of production; the reconciler's part is the
// test's.
class TopologyClientTest : public ::testing::Test {
 protected:
  void MakeJob() {
    hub_.EnsureJob(kJob, {.uid = "u1", .spec_json = "{}", .batch_size = 10, .data_epochs = 1});
  }

  // Waits for news from the hub until some registrant is as asked.
  bool Eventually(const std::function<bool(const RegistrantView&)>& is) {
    const Time deadline = clock_.Now() + kPatience;
    MutexLock lock(mutex_);
    while (std::ranges::none_of(hub_.Observe(kJob).registrants, is)) {
      if (clock_.Now() >= deadline) return false;
      changed_.WaitUntil(mutex_, deadline);
    }
    return true;
  }

  void Publish(const std::vector<topology::MemberId>& members,
               const std::vector<membership::Removal>& removed = {}) {
    graph::Rng rng(1);
    graph::PlanResult plan = graph::Plan(*hub_.Observe(kJob).graph, members, {}, rng);
    topology::Directives directives;
    directives.publish = topology::Publication{
        .graph = plan.next, .changed = plan.edits.changed, .removed = removed};
    hub_.Apply(kJob, directives);
  }

  // From registered to member, as the reconciler would decide it.
  void Admit(topology::MemberId id) {
    ASSERT_TRUE(Eventually([id](const auto& view) { return view.rules.id == id; }));
    topology::Directives directives;
    directives.assign = {{.id = id, .role = membership::Role::kSeed}};
    hub_.Apply(kJob, directives);
    ASSERT_TRUE(Eventually(
        [id](const auto& view) { return view.rules.id == id && view.rules.ready_since; }));
    Publish({id});
  }

  const RealClock clock_;
  Mutex mutex_;
  CondVar changed_;
  topology::Hub hub_{clock_, [this](const topology::JobKey&) {
                       MutexLock lock(mutex_);
                       changed_.NotifyAll();
                     }};
  const std::unique_ptr<grpc_service::TopologyServer> server_ =
      grpc_service::TopologyServer::Start(hub_, {}).value();
  Relay relay_{server_->port()};
  Worker worker_{relay_.address(), "p0", clock_};
};

TEST_F(TopologyClientTest, ARegisteredWorkerBecomesAMember) {
  MakeJob();
  worker_.client.Start();
  Admit(1);
  EXPECT_TRUE(worker_.parts.WaitFor("train"));
  EXPECT_EQ(worker_.member(), 1u);
  EXPECT_THAT(worker_.parts.notes(), Contains("build u1 as 1"));
}

TEST_F(TopologyClientTest, AMemberWhoseStreamBreaksIsBackUnderItsId) {
  MakeJob();
  worker_.client.Start();
  Admit(1);
  ASSERT_TRUE(worker_.parts.WaitFor("view 1 of 0"));
  for (int again = 2; again <= 3; ++again) {
    relay_.Cut();
    ASSERT_TRUE(worker_.parts.WaitFor("view 1 of 0", again));  // sent to who is back
    EXPECT_EQ(worker_.member(), 1u);
  }
  EXPECT_THAT(worker_.parts.notes(), Not(Contains("become 2")));
  const topology::Snapshot snapshot = hub_.Observe(kJob);
  ASSERT_EQ(snapshot.registrants.size(), 1u);
  EXPECT_TRUE(snapshot.registrants[0].connected);
  EXPECT_TRUE(snapshot.registrants[0].rules.member);
}

TEST_F(TopologyClientTest, AMemberThatWasGivenUpMeanwhileComesBackAsAnother) {
  MakeJob();
  worker_.client.Start();
  Admit(1);
  ASSERT_TRUE(worker_.parts.WaitFor("train"));
  relay_.Close();
  ASSERT_TRUE(Eventually([](const auto& view) { return !view.connected; }));
  Publish({}, {{.id = 1, .reason = "its stream is broken"}});
  relay_.Open();
  ASSERT_TRUE(worker_.parts.WaitFor("become 2"));
  Admit(2);
  EXPECT_TRUE(worker_.parts.WaitFor("train", 2));
}

TEST_F(TopologyClientTest, AHubThatIsAwayIsTriedUntilItIsThere) {
  MakeJob();
  relay_.Close();
  worker_.client.Start();
  ASSERT_TRUE(relay_.AwaitTurnedAway(3));
  relay_.Open();
  EXPECT_TRUE(worker_.parts.WaitFor("become 1"));
}

TEST_F(TopologyClientTest, AWorkerThatIsFasterThanItsJobComesAgain) {
  worker_.client.Start();
  EXPECT_EQ(worker_.member(), 0u);  // it runs
  MakeJob();
  EXPECT_TRUE(worker_.parts.WaitFor("become 1"));
}

TEST_F(TopologyClientTest, ALayoutThatIsNotTheJobsIsRefused) {
  MakeJob();
  worker_.client.Start();
  ASSERT_TRUE(worker_.parts.WaitFor("become 1"));
  ASSERT_TRUE(Eventually([](const auto& view) { return view.rules.id == 1; }));
  Worker other(relay_.address(), "p1", clock_);
  other.parts.layout_hash = 2;
  other.client.Start();
  EXPECT_TRUE(other.parts.WaitFor(
      "refused: the model's layout 0000000000000002 is not the job's, 0000000000000001"));
  EXPECT_EQ(worker_.member(), 1u);
}

TEST_F(TopologyClientTest, HearsThatTheJobIsGone) {
  MakeJob();
  worker_.client.Start();
  ASSERT_TRUE(worker_.parts.WaitFor("become 1"));
  hub_.Forget(kJob, "the job was deleted");
  EXPECT_TRUE(worker_.parts.WaitFor("stop: the job was deleted"));
}

TEST_F(TopologyClientTest, AJobOfTheSameNameIsBuiltAnew) {
  MakeJob();
  worker_.client.Start();
  ASSERT_TRUE(worker_.parts.WaitFor("become 1"));
  hub_.EnsureJob(kJob, {.uid = "u2", .spec_json = "{}", .batch_size = 10, .data_epochs = 1});
  relay_.Cut();
  EXPECT_TRUE(worker_.parts.WaitFor("build u2 as 1")) << "its id was of the old job";
  EXPECT_TRUE(worker_.parts.WaitFor("become 1", 2));
}

TEST_F(TopologyClientTest, WhatIsSaidBeforeStopArrives) {
  MakeJob();
  worker_.client.Start();
  Admit(1);
  ASSERT_TRUE(worker_.parts.WaitFor("train"));
  worker_.client.Post([](Session& session) { session.Leave("asked to end"); });
  worker_.client.Stop(clock_.Now() + kPatience);
  EXPECT_TRUE(Eventually([](const auto& view) { return view.rules.leaving; }));
}

TEST_F(TopologyClientTest, PostsRunInOrderAndNoneAfterStop) {
  std::vector<int> ran;
  worker_.client.Start();
  for (int i = 0; i < 3; ++i) worker_.client.Post([&ran, i](Session&) { ran.push_back(i); });
  worker_.member();
  worker_.client.Stop(clock_.Now());
  worker_.client.Post([&ran](Session&) { ran.push_back(9); });
  worker_.client.Stop(clock_.Now());
  EXPECT_THAT(ran, ::testing::ElementsAre(0, 1, 2));
}

}  // namespace
}  // namespace grapevine::control
