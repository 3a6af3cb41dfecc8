// The last steps of a job, in an order that survives the operator's death between any two.

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/training_job/decide.h"

namespace grapevine::training_job {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

Observed Completed() {
  Observed observed;
  observed.job.metadata = {.name = "job", .uid = "u"};
  observed.job.spec.workers.replicas = 1;
  observed.pods = {{.name = "job-0-0", .uid = "p", .state = WorkerPod::State::kRunning}};
  observed.hub.graph = std::make_shared<const graph::Graph>();
  observed.hub.samples_used_up = true;
  observed.hub.finish_since = observed.now = Time(1000s);
  observed.hub.final_result = topology::Snapshot::Final{.loss = 0.1, .accuracy = 0.9};
  observed.wall = api::WallTime(std::chrono::seconds(1'700'000'000));
  return observed;
}

// Whoever took over in between would find pods that have ended and a job that has not.
TEST(JobEnd, NobodyIsToldToStopBeforeTheEndIsWritten) {
  Observed observed = Completed();
  const Decision end = Decide(observed);
  EXPECT_TRUE(api::IsTrue(end.status.conditions, api::kSucceeded));
  EXPECT_FALSE(end.directives.stop);
  EXPECT_THAT(end.remove, IsEmpty());
  EXPECT_TRUE(end.requeue_after);

  observed.job.status = end.status;
  EXPECT_TRUE(Decide(observed).directives.stop);
}

TEST(JobEnd, APodThatRunsMayEndByItself) {
  Observed observed = Completed();
  observed.job.status = Decide(observed).status;
  observed.hub.stopped = true;  // its stream has ended since
  EXPECT_THAT(Decide(observed).remove, IsEmpty());
  observed.wall += std::chrono::seconds(10);
  EXPECT_THAT(Decide(observed).remove, SizeIs(1));
}

TEST(JobEnd, PodsThatHaveEndedAreNoLongerActiveNorMembers) {
  Observed observed = Completed();
  observed.job.status = Decide(observed).status;
  observed.job.status.workers.members = 1;
  EXPECT_EQ(Decide(observed).status.workers.members, 1);
  observed.pods[0].state = WorkerPod::State::kSucceeded;
  const api::WorkersStatus workers = Decide(observed).status.workers;
  EXPECT_EQ(workers.active, 0);
  EXPECT_EQ(workers.members, 0);
  EXPECT_EQ(workers.desired, 1);
}

TEST(JobEnd, APodThatHasNotStartedGoesAtOnce) {
  Observed observed = Completed();
  observed.pods[0].state = WorkerPod::State::kPending;
  observed.job.status = Decide(observed).status;
  EXPECT_THAT(Decide(observed).remove, SizeIs(1));
}

}  // namespace
}  // namespace grapevine::training_job
