#include "operator/training_job/apply.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/local/api_server.h"
#include "tests/operator/controller/forwarding_client.h"

namespace grapevine::training_job {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

// The server, as one that takes a while and has room for some pods alone.
class QuotaClient final : public controller::ForwardingClient {
 public:
  using ForwardingClient::ForwardingClient;

  absl::StatusOr<nlohmann::json> Create(const controller::Resource& resource,
                                        const nlohmann::json& object) override {
    const int at_once = ++under_way_;
    for (int most = most_at_once; most < at_once;) {
      if (most_at_once.compare_exchange_weak(most, at_once)) break;
    }
    std::this_thread::sleep_for(1ms);
    const bool room = tries++ < quota;
    --under_way_;
    if (!room) return refusal;
    return ForwardingClient::Create(resource, object);
  }

  int quota = 1000;
  absl::Status refusal = absl::ResourceExhaustedError("exceeded quota");
  std::atomic<int> tries = 0;
  std::atomic<int> most_at_once = 0;

 private:
  std::atomic<int> under_way_ = 0;
};

class CreatePodsTest : public ::testing::Test {
 protected:
  absl::Status Create(int count) {
    api::TrainingJob job;
    job.metadata.name = "digits";
    job.metadata.uid = "u1";
    std::vector<PodToCreate> pods;
    for (int slot = 0; slot < count; ++slot) pods.push_back({.slot = slot});
    CreatedPods created = CreatePods(client_, job, pods, {});
    for (const PodToCreate& pod : created.made) created_.push_back(pod.slot);
    for (const PodToCreate& pod : created.strangers) strangers_.push_back(pod.slot);
    return created.status;
  }

  local::ApiServer server_;
  QuotaClient client_{server_};
  std::vector<int> created_;
  std::vector<int> strangers_;
};

TEST_F(CreatePodsTest, MakesEachOnceAndNeverTooManyAtOnce) {
  EXPECT_TRUE(Create(100).ok());
  EXPECT_THAT(created_, SizeIs(100));
  EXPECT_EQ(client_.tries, 100);
  EXPECT_LE(client_.most_at_once, static_cast<int>(kMostAtOnce));
  EXPECT_GT(client_.most_at_once, 1);
}

TEST_F(CreatePodsTest, WithoutPodsNothingIsAsked) {
  EXPECT_TRUE(Create(0).ok());
  EXPECT_EQ(client_.tries, 0);
}

TEST_F(CreatePodsTest, AServerWithoutRoomIsAskedOnce) {
  client_.quota = 0;
  EXPECT_TRUE(absl::IsResourceExhausted(Create(100)));
  EXPECT_EQ(client_.tries, 1);
  EXPECT_THAT(created_, SizeIs(0));
}

TEST_F(CreatePodsTest, AfterARefusalNoOthersAreBegunAndThoseMadeAreTold) {
  client_.quota = 5;
  EXPECT_TRUE(absl::IsResourceExhausted(Create(100)));
  EXPECT_THAT(created_, SizeIs(5));
  EXPECT_EQ(client_.tries, 1 + 2 + 4);  // the third batch is tried whole
}

TEST_F(CreatePodsTest, AConflictOverAQuotaIsNoNameThatIsTaken) {
  client_.quota = 1;
  client_.refusal = absl::AbortedError("operation cannot be fulfilled on resourcequotas \"q\"");
  EXPECT_TRUE(absl::IsUnavailable(Create(100)));
  EXPECT_EQ(client_.tries, 1 + 2);
}

TEST_F(CreatePodsTest, AfterALateRefusalThoseUnderWayAloneAreTried) {
  client_.quota = 40;
  EXPECT_TRUE(absl::IsResourceExhausted(Create(100)));
  EXPECT_THAT(created_, SizeIs(40));
  EXPECT_LE(client_.tries, 40 + static_cast<int>(kMostAtOnce));
}

TEST_F(CreatePodsTest, AStrangersPodStopsNoOther) {
  const nlohmann::json theirs = {{"metadata", {{"name", "digits-1-0"}, {"namespace", "default"}}}};
  ASSERT_TRUE(server_.Create(kPods, theirs).ok());
  EXPECT_TRUE(Create(5).ok());
  EXPECT_THAT(created_, ElementsAre(0, 2, 3, 4));
  EXPECT_THAT(strangers_, ElementsAre(1));
}

TEST_F(CreatePodsTest, AServerThatIsNotTrustedMakesNoStrangers) {
  client_.quota = 0;
  client_.refusal = absl::FailedPreconditionError("the server's certificate is not trusted");
  EXPECT_TRUE(absl::IsFailedPrecondition(Create(100)));
  EXPECT_EQ(client_.tries, 1);
  EXPECT_THAT(strangers_, SizeIs(0));
}

TEST_F(CreatePodsTest, APodThatIsThereAlreadyCountsAsMade) {
  EXPECT_TRUE(Create(3).ok());
  created_.clear();
  EXPECT_TRUE(Create(5).ok());
  EXPECT_THAT(created_, SizeIs(5));
}

}  // namespace
}  // namespace grapevine::training_job
