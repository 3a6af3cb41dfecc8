#include "operator/training_job/training_job_reconciler.h"

#include <algorithm>
#include <atomic>
#include <functional>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/api/labels.h"
#include "operator/api/validation.h"
#include "operator/local/api_server.h"
#include "operator/training_job/apply.h"
#include "tests/operator/controller/forwarding_client.h"

namespace grapevine::training_job {
namespace {

using ::testing::SizeIs;

class StandingClock final : public Clock {
 public:
  Time Now() const override { return now; }
  Time now = Time(1000s);
};

// The server, but for writes that it is told to refuse.
class RefusingClient final : public controller::ForwardingClient {
 public:
  using ForwardingClient::ForwardingClient;

  absl::StatusOr<nlohmann::json> Create(const controller::Resource& resource,
                                        const nlohmann::json& object) override {
    if (resource == kPods) ++tries;
    if (resource == kPods && !refuses_pods.ok()) return refuses_pods;
    return ForwardingClient::Create(resource, object);
  }
  absl::StatusOr<nlohmann::json> UpdateStatus(const controller::Resource& resource,
                                              const nlohmann::json& object) override {
    if (resource == refused) return absl::UnavailableError("not now");
    return ForwardingClient::UpdateStatus(resource, object);
  }

  absl::StatusOr<nlohmann::json> Patch(const controller::Resource& resource,
                                       std::string_view name_space, std::string_view name,
                                       const nlohmann::json& patch) override {
    auto patched = ForwardingClient::Patch(resource, name_space, name, patch);
    if (on_patched) on_patched();
    return patched;
  }

  std::function<void()> on_patched;
  controller::Resource refused;  // its status
  absl::Status refuses_pods;     // why, unless Ok
  std::atomic<int> tries = 0;    // to make a pod; from several threads
};

class SpecSink final : public topology::Sink {
 public:
  bool Send(const topology::HubMessage& message) override {
    if (message.has_spec_changed()) specs.push_back(message.spec_changed().spec_json());
    return true;
  }
  void Close() override {}

  std::vector<std::string> specs;
};

// The reconciler over the in-memory API server, with caches that are filled by hand: what it must
// do while they are behind is the point.
class ReconcilerTest : public ::testing::Test {
 protected:
  ReconcilerTest() : hub_(clock_, [](const topology::JobKey&) {}) {
    api::TrainingJob job;
    job.metadata.name = "digits";
    job.metadata.uid = "u1";
    job.spec.workers.replicas = 3;
    job.spec.workers.max_replicas = 8;
    job.spec.workers.pod_template = {
        {"spec", {{"containers", {{{"name", "w"}, {"command", {"true"}}}}}}}};
    nlohmann::json object = api::ToJson(job);
    EXPECT_TRUE(server_.Create(kTrainingJobs, object).ok());
    Refresh();
    Restart();
  }

  void Restart() {
    reconciler_ = std::make_unique<TrainingJobReconciler>(
        ReconcilerParts{
            .client = &client_,
            .jobs = &jobs_,
            .pods = &pods_,
            .graphs = &graphs_,
            .hub = &hub_,
            .clock = &clock_,
            .wall = [] { return api::WallTime(std::chrono::seconds(1'700'000'000)); },
            .on_event = [this](auto&, const JobEvent& event) { events_.push_back(event.reason); }},
        WorkerLaunch{.hub_address = "hub:1"});
  }

  std::vector<nlohmann::json> ListOf(const controller::Resource& resource) {
    auto list = server_.List(resource, "", {});
    EXPECT_TRUE(list.ok());
    return (*list)["items"].get<std::vector<nlohmann::json>>();
  }
  void Refresh() {
    jobs_.Replace(ListOf(kTrainingJobs));
    pods_.Replace(ListOf(kPods));
    graphs_.Replace(ListOf(kCommunicationGraphs));
  }
  // The worker of `pod` registers and is ready for whatever it is told; the roster then has it.
  void Join(const std::string& pod) {
    topology::WorkerMessage message;
    message.mutable_register_()->set_namespace_("default");
    message.mutable_register_()->set_job("digits");
    message.mutable_register_()->set_pod(pod);
    const topology::SessionId session = hub_.Connect(sink_);
    hub_.OnMessage(session, message);
    message.mutable_built()->set_samples(100);
    hub_.OnMessage(session, message);
    (void)Reconcile();
    message.mutable_ready()->set_from(topology::v1::Start::FROM_SEED);
    hub_.OnMessage(session, message);
    clock_.now += membership::kJoinBatch;
  }
  absl::Status Reconcile() { return reconciler_->Reconcile({"default", "digits"}).status(); }

  StandingClock clock_;
  local::ApiServer server_;
  RefusingClient client_{server_};
  controller::ObjectStore jobs_, graphs_;
  controller::ObjectStore pods_{api::kJobNameLabel};
  topology::Hub hub_;
  std::vector<std::string> events_;
  const std::shared_ptr<SpecSink> sink_ = std::make_shared<SpecSink>();
  std::unique_ptr<TrainingJobReconciler> reconciler_;
};

TEST_F(ReconcilerTest, MakesThePodsOnceHoweverStaleItsCachesAre) {
  ASSERT_TRUE(Reconcile().ok());
  EXPECT_THAT(ListOf(kPods), SizeIs(3));
  // The status is stale too, and its write is refused or unnecessary; the pods stay what they are.
  (void)Reconcile();
  EXPECT_THAT(ListOf(kPods), SizeIs(3));
  Refresh();
  ASSERT_TRUE(Reconcile().ok());
  EXPECT_THAT(ListOf(kPods), SizeIs(3));
}

TEST_F(ReconcilerTest, AKillBetweenAnyTwoCallsMakesNoSecondPod) {
  ASSERT_TRUE(Reconcile().ok());
  Restart();  // knows nothing of what it has made, and its cache shows nothing
  (void)Reconcile();
  EXPECT_THAT(ListOf(kPods), SizeIs(3));
}

TEST_F(ReconcilerTest, AStrangersPodUnderOurNameIsNotTakenOver) {
  ASSERT_TRUE(server_
                  .Create(kPods, {{"apiVersion", "v1"},
                                  {"kind", "Pod"},
                                  {"metadata", {{"name", "digits-0-0"}, {"namespace", "default"}}}})
                  .ok());
  ASSERT_TRUE(Reconcile().ok());
  EXPECT_TRUE(controller::ControllerUidOf(ListOf(kPods)[0]).empty());
  EXPECT_THAT(ListOf(kPods), SizeIs(3)) << "it stops no other";
  Refresh();
  ASSERT_TRUE(Reconcile().ok());
  EXPECT_THAT(ListOf(kPods), SizeIs(4));
  EXPECT_TRUE(server_.Get(kPods, "default", "digits-0-1").ok()) << "its slot's, by the next name";
  EXPECT_EQ(std::ranges::count(events_, "NameTaken"), 1);
}

TEST_F(ReconcilerTest, ATakenNameIsToldOfOnceTheStatusCanBeWritten) {
  ASSERT_TRUE(server_
                  .Create(kPods, {{"apiVersion", "v1"},
                                  {"kind", "Pod"},
                                  {"metadata", {{"name", "digits-0-0"}, {"namespace", "default"}}}})
                  .ok());
  client_.refused = kTrainingJobs;
  EXPECT_FALSE(Reconcile().ok());
  EXPECT_EQ(std::ranges::count(events_, "NameTaken"), 0);
  client_.refused = {};
  ASSERT_TRUE(Reconcile().ok());
  EXPECT_EQ(std::ranges::count(events_, "NameTaken"), 1);
}

TEST_F(ReconcilerTest, ANameThatAnEarlierJobsPodStillHasIsWaitedForWithoutAlarm) {
  const nlohmann::json pod = {{"metadata", {{"name", "digits-0-0"}, {"namespace", "default"}}},
                              {"spec", {{"nodeName", "n"}}}};
  ASSERT_TRUE(server_.Create(kPods, pod).ok());
  ASSERT_TRUE(server_.Delete(kPods, "default", "digits-0-0", {}).ok());
  const auto result = reconciler_->Reconcile({"default", "digits"});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(ListOf(kPods), SizeIs(3)) << "it stops no other";
  EXPECT_THAT(events_, ::testing::Not(::testing::Contains("PodRefused")));
  ASSERT_TRUE(result->requeue_after);
  EXPECT_LE(*result->requeue_after, 1s);
  (void)Reconcile();
  EXPECT_EQ(std::ranges::count(events_, "NameTaken"), 1) << "told once";

  ASSERT_TRUE(server_.Delete(kPods, "default", "digits-0-0", {.grace_period_seconds = 0}).ok());
  Refresh();
  ASSERT_TRUE(Reconcile().ok());
  EXPECT_THAT(ListOf(kPods), SizeIs(3));
}

TEST_F(ReconcilerTest, APodThatTheCacheShowsWhileItIsAdoptedIsCountedOnce) {
  ASSERT_TRUE(Reconcile().ok());
  for (nlohmann::json pod : ListOf(kPods)) {
    if (controller::KeyOf(pod).name == "digits-0-0") continue;
    pod["metadata"].erase("ownerReferences");
    ASSERT_TRUE(server_.Update(kPods, pod).ok());
  }
  Refresh();
  client_.on_patched = [this] { Refresh(); };
  ASSERT_TRUE(Reconcile().ok());
  EXPECT_THAT(ListOf(kPods), SizeIs(3));
  EXPECT_THAT(events_, ::testing::Not(::testing::Contains("PodsDeleted")));
  EXPECT_THAT(events_, ::testing::Contains("PodAdopted"));
}

TEST_F(ReconcilerTest, ScaleInDeletesAsManyAsAskedWhileTheCacheIsBehind) {
  ASSERT_TRUE(Reconcile().ok());
  Refresh();
  ASSERT_TRUE(Reconcile().ok());
  Refresh();
  nlohmann::json job = *jobs_.Get({"default", "digits"});
  job["spec"]["workers"]["replicas"] = 2;
  ASSERT_TRUE(server_.Update(kTrainingJobs, job).ok());
  jobs_.Replace(ListOf(kTrainingJobs));
  ASSERT_TRUE(Reconcile().ok());
  for (int i = 0; i < 3; ++i) (void)Reconcile();
  EXPECT_THAT(ListOf(kPods), SizeIs(2));
}

TEST_F(ReconcilerTest, WorkersAreToldOfWhatConcernsThemAlone) {
  ASSERT_TRUE(Reconcile().ok());
  Refresh();
  Join("digits-0-0");
  const auto set = [&](const char* field, const nlohmann::json& value) {
    Refresh();
    nlohmann::json job = *jobs_.Get({"default", "digits"});
    job["spec"][nlohmann::json::json_pointer(field)] = value;
    ASSERT_TRUE(server_.Update(kTrainingJobs, job).ok());
    Refresh();
    ASSERT_TRUE(Reconcile().ok());
  };
  set("/workers/replicas", 4);
  set("/checkpoint/everySeconds", 7);
  set("/activeDeadlineSeconds", 1000);
  EXPECT_THAT(sink_->specs, SizeIs(0));
  set("/exchange/encoding", "Int8");
  ASSERT_THAT(sink_->specs, SizeIs(1));
  const auto spec = api::TrainingJobSpecFromJson(nlohmann::json::parse(sink_->specs[0]));
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->exchange.encoding, api::Encoding::kInt8);
  set("/checkpoint/keep", 9);
  EXPECT_THAT(sink_->specs, SizeIs(2));
}

TEST_F(ReconcilerTest, WritesStatusOnceAndSpeaksAfterwards) {
  ASSERT_TRUE(Reconcile().ok());
  EXPECT_THAT(events_, ::testing::ElementsAre("PodsCreated"));
  Refresh();
  ASSERT_TRUE(Reconcile().ok());
  Refresh();
  const std::string version = controller::ResourceVersionOf(*jobs_.Get({"default", "digits"}));
  ASSERT_TRUE(Reconcile().ok());
  Refresh();
  EXPECT_EQ(controller::ResourceVersionOf(*jobs_.Get({"default", "digits"})), version);
  EXPECT_THAT(events_, SizeIs(2));
}

TEST_F(ReconcilerTest, AGraphThatCouldNotBeWrittenIsWrittenLater) {
  ASSERT_TRUE(Reconcile().ok());
  Refresh();
  Join("digits-0-0");
  client_.refused = kCommunicationGraphs;
  EXPECT_TRUE(absl::IsUnavailable(Reconcile()));
  ASSERT_EQ(hub_.Observe({"default", "digits"}).epoch, 1u);
  client_.refused = {};
  Refresh();
  EXPECT_TRUE(Reconcile().ok());
  ASSERT_THAT(ListOf(kCommunicationGraphs), SizeIs(1));
  EXPECT_EQ(ListOf(kCommunicationGraphs)[0]["status"]["epoch"], 1);
}

// Also where its members are all gone, and where it told of more than it could write. It sets apart
// what it may give before it gives any.
TEST_F(ReconcilerTest, ANewLeaderRepeatsNoEpochAndNoIdOfAnEarlierOne) {
  api::CommunicationGraph graph{.epoch = 7, .last_member = 9, .spectral_gap = 1};
  const auto job = api::TrainingJobFromJson(ListOf(kTrainingJobs)[0]);
  ASSERT_TRUE(job.ok());
  ASSERT_TRUE(WriteGraph(server_, *job, graph, nullptr).ok());
  Refresh();
  ASSERT_TRUE(Reconcile().ok());
  EXPECT_EQ(ListOf(kCommunicationGraphs)[0]["status"]["lastEpoch"], 107);
  EXPECT_EQ(ListOf(kCommunicationGraphs)[0]["status"]["lastMember"], 109);
  Refresh();
  Join("digits-0-0");
  Refresh();
  ASSERT_TRUE(Reconcile().ok());
  const topology::Snapshot hub = hub_.Observe({"default", "digits"});
  EXPECT_EQ(hub.epoch, 108u);
  ASSERT_THAT(hub.registrants, SizeIs(1));
  EXPECT_EQ(hub.registrants[0].rules.id, 110u);
}

TEST_F(ReconcilerTest, AGraphThatAnEarlierJobOfThisNameLeftIsNotThisJobs) {
  api::CommunicationGraph earlier{.epoch = 7, .spectral_gap = 1};
  earlier.metadata.name = "digits";
  earlier.metadata.name_space = "default";
  ASSERT_TRUE(server_.Create(kCommunicationGraphs, api::ToJson(earlier)).ok());
  Refresh();
  EXPECT_TRUE(absl::IsAborted(Reconcile())) << "until it is collected";
  ASSERT_TRUE(server_.Delete(kCommunicationGraphs, "default", "digits", {}).ok());
  EXPECT_TRUE(Reconcile().ok());
  EXPECT_EQ(ListOf(kCommunicationGraphs)[0]["status"]["epoch"], 0);
}

TEST_F(ReconcilerTest, AJobThatIsGoneIsForgotten) {
  ASSERT_TRUE(Reconcile().ok());
  ASSERT_TRUE(hub_.Observe({"default", "digits"}).known);
  ASSERT_TRUE(server_.Delete(kTrainingJobs, "default", "digits", {}).ok());
  Refresh();
  ASSERT_TRUE(Reconcile().ok());
  EXPECT_FALSE(hub_.Observe({"default", "digits"}).known);
}

TEST_F(ReconcilerTest, PodsThatTheServerRefusesAreToldAndTriedAgainWithoutHaste) {
  for (const absl::Status& why :
       {absl::InvalidArgumentError("spec.containers[0].image: Required value"),
        absl::PermissionDeniedError("violates PodSecurity")}) {
    client_.refuses_pods = why;
    events_.clear();
    Restart();
    const auto result = reconciler_->Reconcile({"default", "digits"});
    ASSERT_TRUE(result.ok()) << result.status();
    ASSERT_TRUE(result->requeue_after);
    EXPECT_LE(*result->requeue_after, 30s);
    EXPECT_THAT(events_, ::testing::Contains("PodRefused"));
    const int tries = client_.tries;
    for (int i = 0; i < 14; ++i) {  // other news of the job come meanwhile
      clock_.now += 2s;
      Refresh();
      ASSERT_TRUE(Reconcile().ok());
    }
    EXPECT_EQ(client_.tries, tries) << "it asks again before its pause is over";
    EXPECT_THAT(
        ListOf(kTrainingJobs)[0]["status"].dump(),
        ::testing::HasSubstr("pods are refused: " + std::string(why.message()).substr(0, 9)));
  }
  client_.refuses_pods = absl::OkStatus();
  clock_.now += 2s;
  Refresh();
  ASSERT_TRUE(Reconcile().ok());
  EXPECT_THAT(ListOf(kPods), ::testing::SizeIs(3));
}

TEST_F(ReconcilerTest, AnInvalidJobOfAnotherControllerIsNotTouched) {
  nlohmann::json job = ListOf(kTrainingJobs)[0];
  job["spec"]["managedBy"] = "other.example/controller";
  job["spec"]["training"]["epochs"] = 0;
  ASSERT_TRUE(server_.Update(kTrainingJobs, job).ok());
  Refresh();
  const std::string version = ListOf(kTrainingJobs)[0]["metadata"]["resourceVersion"];
  ASSERT_TRUE(Reconcile().ok());
  EXPECT_EQ(ListOf(kTrainingJobs)[0]["metadata"]["resourceVersion"], version);
}

TEST_F(ReconcilerTest, AnInvalidJobFailsWithAllThatIsWrongAndWithoutPods) {
  ASSERT_TRUE(Reconcile().ok());
  Refresh();
  ASSERT_FALSE(ListOf(kPods).empty());
  nlohmann::json job = ListOf(kTrainingJobs)[0];
  job["spec"]["training"]["epochs"] = 0;
  job["spec"]["workers"]["replicas"] = -1;
  ASSERT_TRUE(server_.Update(kTrainingJobs, job).ok());
  Refresh();
  events_.clear();
  ASSERT_TRUE(Reconcile().ok());
  EXPECT_TRUE(ListOf(kPods).empty());
  const api::TrainingJobStatus status = api::StatusFromJson(ListOf(kTrainingJobs)[0]["status"]);
  const api::Condition* failed = api::FindCondition(status.conditions, api::kFailed);
  ASSERT_NE(failed, nullptr);
  EXPECT_EQ(failed->status, "True");
  EXPECT_EQ(failed->reason, "InvalidSpec");
  const int64_t generation = api::MetadataOf(ListOf(kTrainingJobs)[0]).generation;
  EXPECT_GT(generation, 1);
  EXPECT_EQ(failed->observed_generation, generation);
  EXPECT_EQ(status.observed_generation, generation);
  EXPECT_THAT(failed->message, ::testing::AllOf(::testing::HasSubstr("spec.training.epochs"),
                                                ::testing::HasSubstr("spec.workers.replicas")));
  EXPECT_THAT(events_, ::testing::ElementsAre("InvalidSpec"));

  Refresh();
  const std::string version = ListOf(kTrainingJobs)[0]["metadata"]["resourceVersion"];
  ASSERT_TRUE(Reconcile().ok());
  EXPECT_EQ(ListOf(kTrainingJobs)[0]["metadata"]["resourceVersion"], version);
  EXPECT_THAT(events_, ::testing::SizeIs(1));
}

}  // namespace
}  // namespace grapevine::training_job
