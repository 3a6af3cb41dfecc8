#include "operator/training_job/adoption.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/api/labels.h"
#include "operator/local/api_server.h"
#include "operator/training_job/apply.h"
#include "operator/training_job/worker_pod.h"
#include "tests/operator/controller/forwarding_client.h"

namespace grapevine::training_job {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class AdoptionTest : public ::testing::Test {
 protected:
  AdoptionTest() {
    job_.metadata.name = "job";
    job_.metadata.uid = MakeOwner("job");
  }

  // The server takes away what has an owner that is not there. Returns its uid.
  std::string MakeOwner(const std::string& name) {
    api::TrainingJob job;
    job.metadata.name = name;
    const auto made = server_.Create(kTrainingJobs, api::ToJson(job));
    EXPECT_TRUE(made.ok()) << made.status();
    return made.ok() ? controller::UidOf(*made) : "";
  }
  json Orphan() {
    json pod = MakeWorkerPod(job_, {1, 0}, {.hub_address = "h"});
    pod["metadata"].erase("ownerReferences");
    return pod;
  }
  void Make(const json& pod) { ASSERT_TRUE(server_.Create(kPods, pod).ok()); }
  void Refresh() {
    auto list = server_.List(kPods, "", {});
    std::vector<json> pods = (*list)["items"];
    for (json& pod : pods) TrimWorkerPod(pod);
    cache_.Replace(std::move(pods));
  }
  Orphans Adopt() { return AdoptOrphans(server_, cache_, job_); }

  local::ApiServer server_;
  controller::ObjectStore cache_{api::kJobNameLabel};
  api::TrainingJob job_;
};

TEST_F(AdoptionTest, APodThatLostItsOwnerIsTheJobsAgainAndKeepsItsOtherOwners) {
  json pod = Orphan();
  pod["metadata"]["ownerReferences"] = {
      {{"apiVersion", "v1"}, {"kind", "Other"}, {"name", "c"}, {"uid", MakeOwner("bystander")}}};
  Make(pod);
  Refresh();
  const Orphans first = Adopt();
  EXPECT_THAT(first.adopted, ElementsAre("job-1-0"));
  ASSERT_THAT(first.ours, SizeIs(1)) << "nobody is missing meanwhile";
  EXPECT_EQ(first.ours[0].name, "job-1-0");
  const json now = *server_.Get(kPods, "default", "job-1-0");
  EXPECT_EQ(controller::ControllerUidOf(now), job_.metadata.uid);
  EXPECT_EQ(now["metadata"]["ownerReferences"].size(), 2u);
  const Orphans again = Adopt();  // the cache shows nothing of it yet
  EXPECT_THAT(again.adopted, IsEmpty());
  EXPECT_THAT(again.refused, IsEmpty());
  EXPECT_THAT(again.ours, SizeIs(1));
  Refresh();
  EXPECT_THAT(cache_.OwnedBy(job_.metadata.uid), SizeIs(1));
  EXPECT_THAT(Adopt().ours, IsEmpty()) << "the cache shows it";
}

class DeafClient final : public controller::ForwardingClient {
 public:
  using ForwardingClient::ForwardingClient;
  Answer Get(const controller::Resource&, std::string_view, std::string_view) override {
    return absl::UnavailableError("nobody answers");
  }
};

TEST_F(AdoptionTest, WhileTheServerDoesNotAnswerAPodIsTheJobsByItsUid) {
  Make(Orphan());
  Refresh();
  DeafClient deaf(server_);
  const Orphans orphans = AdoptOrphans(deaf, cache_, job_);
  EXPECT_THAT(orphans.adopted, IsEmpty());
  EXPECT_THAT(orphans.ours, SizeIs(1));
  EXPECT_THAT(Adopt().adopted, ElementsAre("job-1-0")) << "the next decision tries again";
}

TEST_F(AdoptionTest, WhatIsNotTheJobsIsRefusedAndNotTouched) {
  struct Case {
    const char* label;
    json value;
    const char* why;
  };
  for (const Case& each : {Case{api::kJobUidLabel, "another", "not its uid"},
                           Case{api::kJobUidLabel, nullptr, "not its uid"},
                           Case{api::kSlotLabel, "2", "is not named job-2-0"},
                           Case{api::kIncarnationLabel, nullptr, "is not named job-1-"}}) {
    json pod = Orphan();
    if (each.value.is_null()) {
      pod["metadata"]["labels"].erase(each.label);
    } else {
      pod["metadata"]["labels"][each.label] = each.value;
    }
    Make(pod);
    Refresh();
    const Orphans orphans = Adopt();
    EXPECT_THAT(orphans.adopted, IsEmpty()) << each.why;
    EXPECT_THAT(orphans.ours, IsEmpty()) << each.why;
    ASSERT_THAT(orphans.refused, SizeIs(1)) << each.why;
    EXPECT_EQ(orphans.refused[0].why, each.why);
    EXPECT_EQ(controller::ControllerUidOf(*server_.Get(kPods, "default", "job-1-0")), "");
    ASSERT_TRUE(server_.Delete(kPods, "default", "job-1-0", {.grace_period_seconds = 0}).ok());
  }
}

TEST_F(AdoptionTest, AnotherNamespacesAndAnotherOwnersPodsAreNobodysBusiness) {
  json elsewhere = Orphan();
  elsewhere["metadata"]["namespace"] = "other";
  Make(elsewhere);
  json owned = MakeWorkerPod(job_, {2, 0}, {.hub_address = "h"});
  owned["metadata"]["ownerReferences"][0]["uid"] = MakeOwner("another");
  Make(owned);
  Refresh();
  const Orphans orphans = Adopt();
  EXPECT_THAT(orphans.adopted, IsEmpty());
  EXPECT_THAT(orphans.refused, IsEmpty());
}

TEST_F(AdoptionTest, AnotherPodOfThisNameMadeMeanwhileIsNotAdopted) {
  Make(Orphan());
  Refresh();
  ASSERT_TRUE(server_.Delete(kPods, "default", "job-1-0", {.grace_period_seconds = 0}).ok());
  EXPECT_THAT(Adopt().adopted, IsEmpty()) << "it is gone";
  Make(Orphan());
  const Orphans another = Adopt();
  EXPECT_THAT(another.adopted, IsEmpty());
  EXPECT_THAT(another.ours, IsEmpty());
  EXPECT_EQ(controller::ControllerUidOf(*server_.Get(kPods, "default", "job-1-0")), "");
}

TEST(QueueLabels, OfAJobAreThoseOfEachPodUnlessItsTemplateSaysOtherwise) {
  api::TrainingJob job;
  job.metadata.labels = {
      {api::kQueueNameLabel, "research"}, {api::kQueuePriorityLabel, "low"}, {"team", "vision"}};
  job.spec.workers.pod_template = {
      {"metadata", {{"labels", {{api::kQueuePriorityLabel, "high"}}}}}};
  const json labels = MakeWorkerPod(job, {0, 0}, {.hub_address = "h"})["metadata"]["labels"];
  EXPECT_EQ(labels[api::kQueueNameLabel], "research");
  EXPECT_EQ(labels[api::kQueuePriorityLabel], "high");
  EXPECT_FALSE(labels.contains("team"));
  job.metadata.labels.clear();
  job.spec.workers.pod_template = json::object();
  EXPECT_FALSE(MakeWorkerPod(job, {0, 0}, {.hub_address = "h"})["metadata"]["labels"].contains(
      api::kQueueNameLabel));
}

}  // namespace
}  // namespace grapevine::training_job
