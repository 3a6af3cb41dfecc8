#include "operator/controller/leader_elector.h"

#include <memory>

#include "gtest/gtest.h"
#include "operator/local/api_server.h"

namespace grapevine::controller {
namespace {

using nlohmann::json;

const Resource kLeases{"coordination.k8s.io", "v1", "leases"};

class LeaderElectorTest : public ::testing::Test {
 protected:
  std::unique_ptr<LeaderElector> Candidate(const std::string& identity) {
    auto elector = std::make_unique<LeaderElector>(
        &server_, &clock_,
        LeaderElectorOptions{.leader = {.identity = identity,
                                        .length = 60s,
                                        .renew_deadline = 40s,
                                        .retry = 10ms,
                                        .look_interval = 10ms},
                             .name_space = "system",
                             .name = "grapevine",
                             .wall = [] { return std::chrono::system_clock::now(); }});
    elector->Start();
    return elector;
  }
  json Lease() { return *server_.Get(kLeases, "system", "grapevine"); }
  Time Soon() const { return clock_.Now() + 60s; }

  RealClock clock_;
  local::ApiServer server_;
};

TEST_F(LeaderElectorTest, OneOfTwoLeadsAndTheOtherFollowsWhenItLeaves) {
  auto first = Candidate("a");
  ASSERT_TRUE(first->WaitForLead(Soon()));
  auto second = Candidate("b");
  EXPECT_FALSE(second->WaitForLead(clock_.Now() + 50ms));
  EXPECT_TRUE(first->leading());
  EXPECT_EQ(Lease()["spec"]["holderIdentity"], "a");

  first->Stop();
  EXPECT_FALSE(first->leading());
  ASSERT_TRUE(second->WaitForLead(Soon()));
  EXPECT_EQ(Lease()["spec"]["holderIdentity"], "b");
  // Made, given back, taken.
  EXPECT_EQ(Lease()["spec"]["leaseTransitions"], 1);
  EXPECT_FALSE(second->lost());
}

TEST_F(LeaderElectorTest, ALeaderWhoseLeaseAnotherWroteHasLost) {
  auto leader = Candidate("a");
  ASSERT_TRUE(leader->WaitForLead(Soon()));
  while (!leader->lost()) {
    json lease = Lease();
    lease["spec"]["holderIdentity"] = "thief";
    (void)server_.Update(kLeases, lease);
  }
  EXPECT_FALSE(leader->leading());
  leader->Stop();
  EXPECT_EQ(Lease()["spec"]["holderIdentity"], "thief");
}

TEST_F(LeaderElectorTest, WhoNeverLedWaitsNoMoreOnceStopped) {
  auto leader = Candidate("a");
  ASSERT_TRUE(leader->WaitForLead(Soon()));
  auto other = Candidate("b");
  other->Stop();
  EXPECT_FALSE(other->WaitForLead(Soon()));
  EXPECT_EQ(Lease()["spec"]["holderIdentity"], "a");
}

}  // namespace
}  // namespace grapevine::controller
