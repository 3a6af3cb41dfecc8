#include "operator/training_job/companions.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/local/api_server.h"
#include "operator/training_job/apply.h"
#include "operator/training_job/worker_pod.h"
#include "tests/operator/controller/forwarding_client.h"

namespace grapevine::training_job {
namespace {

using nlohmann::json;

api::TrainingJob Job(int32_t replicas = 4, int32_t min_replicas = 2) {
  api::TrainingJob job;
  job.metadata.name = "digits";
  job.metadata.uid = "u";
  job.spec.workers = {.replicas = replicas, .min_replicas = min_replicas};
  return job;
}

// Refuses one resource's creation.
class RefusingClient final : public controller::ForwardingClient {
 public:
  using ForwardingClient::ForwardingClient;
  Answer Create(const controller::Resource& resource, const json& object) override {
    if (resource == refused) return absl::PermissionDeniedError("may not");
    return ForwardingClient::Create(resource, object);
  }
  controller::Resource refused;
};

TEST(Companions, AsManyPodsStayAsTrainingNeedsAndNeverAll) {
  struct Case {
    int32_t replicas, min_replicas, stay;
  };
  for (const Case& each : {Case{4, 2, 2}, Case{4, 1, 1}, Case{4, 4, 3}, Case{1, 1, 0},
                           Case{3, 0, 0}, Case{0, 0, 0}, Case{2, 5, 1}}) {
    EXPECT_EQ(PodsThatStay(Job(each.replicas, each.min_replicas).spec.workers), each.stay)
        << each.replicas << " " << each.min_replicas;
  }
}

TEST(Companions, AreTheJobsAndFindItsPods) {
  const api::TrainingJob job = Job();
  const Companions companions = MakeCompanions(job, false);
  ASSERT_TRUE(companions.disruption_budget);
  const json pod = MakeWorkerPod(job, {0, 0}, {.hub_address = "h", .pod_network = true});
  for (const json& object : {*companions.disruption_budget, companions.service}) {
    EXPECT_EQ(controller::ControllerUidOf(object), "u");
    EXPECT_EQ(object["metadata"]["name"], "digits");
  }
  const json& labels = pod["metadata"]["labels"];
  for (const json& selector : {(*companions.disruption_budget)["spec"]["selector"]["matchLabels"],
                               companions.service["spec"]["selector"]}) {
    for (const auto& [key, value] : selector.items())
      EXPECT_EQ(labels.value(key, ""), value.get<std::string>());
  }
  EXPECT_EQ(companions.service["spec"]["clusterIP"], "None");
  EXPECT_EQ(pod["spec"]["subdomain"], companions.service["metadata"]["name"]);
  EXPECT_EQ(pod["spec"]["hostname"], pod["metadata"]["name"]);
}

TEST(Companions, AJobWithoutPodsHasNoBudgetToKeep) {
  api::TrainingJob job = Job();
  EXPECT_FALSE(MakeCompanions(job, true).disruption_budget);
  job.spec.suspend = true;
  EXPECT_FALSE(MakeCompanions(job, false).disruption_budget);
}

class EnsureTest : public ::testing::Test {
 protected:
  EnsureTest() {
    // The server takes away what has an owner that is not there.
    const auto made = server_.Create(kTrainingJobs, api::ToJson(job_));
    EXPECT_TRUE(made.ok()) << made.status();
    job_.metadata.uid = controller::UidOf(*made);
  }

  absl::Status Ensure(bool over = false) {
    return EnsureCompanions(client_, job_, MakeCompanions(job_, over));
  }
  absl::StatusOr<json> Get(const controller::Resource& resource) {
    return server_.Get(resource, "default", "digits");
  }

  local::ApiServer server_;
  RefusingClient client_{server_};
  api::TrainingJob job_ = Job();
};

TEST_F(EnsureTest, MakesThemOnceAndFollowsTheJob) {
  ASSERT_TRUE(Ensure().ok());
  ASSERT_TRUE(Ensure().ok());
  EXPECT_EQ((*Get(kDisruptionBudgets))["spec"]["minAvailable"], 2);
  EXPECT_TRUE(Get(kServices).ok());
  job_.spec.workers.min_replicas = 3;
  ASSERT_TRUE(Ensure().ok());
  EXPECT_EQ((*Get(kDisruptionBudgets))["spec"]["minAvailable"], 3);
  ASSERT_TRUE(Ensure(/*over=*/true).ok());
  EXPECT_TRUE(absl::IsNotFound(Get(kDisruptionBudgets).status()));
  ASSERT_TRUE(Ensure(/*over=*/true).ok()) << "it is gone already";
}

TEST_F(EnsureTest, LeavesWhatIsSomebodyElsesAndMakesTheOtherAllTheSame) {
  const json service = {{"apiVersion", "v1"},
                        {"kind", "Service"},
                        {"metadata", {{"name", "digits"}, {"namespace", "default"}}},
                        {"spec", {{"selector", {{"app", "mine"}}}}}};
  ASSERT_TRUE(server_.Create(kServices, service).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(Ensure()));
  EXPECT_EQ((*Get(kServices))["spec"], service["spec"]);
  EXPECT_TRUE(Get(kDisruptionBudgets).ok());
  job_.metadata.uid = "a later job of this name";
  EXPECT_TRUE(absl::IsFailedPrecondition(Ensure(/*over=*/true)));
  EXPECT_TRUE(Get(kDisruptionBudgets).ok()) << "it was not this job's to remove";
}

TEST_F(EnsureTest, WithoutTheRightToMakeOneTheOtherIsMade) {
  client_.refused = kServices;
  EXPECT_TRUE(absl::IsPermissionDenied(Ensure()));
  EXPECT_TRUE(Get(kDisruptionBudgets).ok());
}

}  // namespace
}  // namespace grapevine::training_job
