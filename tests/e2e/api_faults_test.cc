// The operator's engine against a real API server that errs, vanishes and lies, and that is the
// last thing an operator speaks to before it dies: nothing is lost, nothing is done twice.

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cluster/shared_control_plane.h"
#include "tests/e2e/job_life.h"

namespace grapevine::e2e {
namespace {

using cluster::ApiCall;
using cluster::Fate;
using cluster::SharedControlPlane;
using cluster::Shown;
using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr char kEndState[] = "Succeeded Initialized restarts 1, 0 Succeeded, 1 Failed, 1 Succeeded";

class ApiFaultsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto& plane = SharedControlPlane();
    const json all = {{{"apiGroups", {"*"}}, {"resources", {"*"}}, {"verbs", {"*"}}}};
    const auto config = plane.KubeconfigOf("default", "faults", all);
    ASSERT_TRUE(config.ok()) << config.status();
    token_ = new kube::Material(kube::FindAccess({.kubeconfig = *config})->token);
  }
  static void TearDownTestSuite() { delete token_; }

  static std::unique_ptr<JobLife> NewLife(const std::string& name) {
    const auto admin = kube::FindAccess({.kubeconfig = SharedControlPlane().kubeconfig()});
    EXPECT_TRUE(admin.ok()) << admin.status();
    return std::make_unique<JobLife>(*admin, *token_, name);
  }

  // All that can happen to a job, to its end.
  static bool LiveThrough(JobLife& life) {
    if (!life.StartOperator().ok()) return false;
    return life.Submit(2).ok() && life.WaitForMembers(2) &&  //
           life.Scale(3).ok() && life.WaitForMembers(3) &&
           life.kubelet().End({life.name_space(), "digits-1-0"}, {.exit_code = 1}).ok() &&
           life.WaitForPod("digits-1-1") && life.WaitForMembers(3) &&
           life.Scale(2, {"digits-2-0"}).ok() && life.WaitForMembers(2) &&
           life.Suspend(true).ok() && life.WaitForSuspended() &&  //
           life.Suspend(false).ok() && life.WaitForMembers(2) && (life.Train(), true) &&
           life.WaitForSucceeded();
  }

  static void ExpectAsEver(JobLife& life) {
    EXPECT_EQ(life.EndState(), kEndState);
    EXPECT_THAT(life.Violations(), IsEmpty());
    // One by scaling in, two by the suspension.
    EXPECT_THAT(life.deleted(), ElementsAre("0", "1", "2"));
  }

  static kube::Material* token_;
};

kube::Material* ApiFaultsTest::token_ = nullptr;

TEST_F(ApiFaultsTest, WithoutAFaultAJobComesToItsEnd) {
  auto life = NewLife("no-fault");
  ASSERT_TRUE(LiveThrough(*life));
  ExpectAsEver(*life);
}

// Each write in turn, until a life has fewer.
TEST_F(ApiFaultsTest, AKillAfterAnyWriteMakesNoSecondPodAndLosesNone) {
  std::atomic<int> next = 1;
  std::atomic<bool> done = false;
  std::atomic<int> kills = 0;
  std::vector<std::jthread> lanes;
  for (int i = 0; i < 4; ++i) {
    lanes.emplace_back([&] {
      while (!done) {
        const int write = next++;
        SCOPED_TRACE(fmt::format("killed after write {}", write));
        auto life = NewLife(fmt::format("kill-{}", write));
        life->KillAfterWrite(write);
        if (!LiveThrough(*life)) done = true;
        ExpectAsEver(*life);
        if (life->operators() == 1) done = true;
        kills += life->operators() - 1;
      }
    });
  }
  lanes.clear();
  EXPECT_GT(kills, 15);
  RecordProperty("kills", kills);
}

}  // namespace
}  // namespace grapevine::e2e
