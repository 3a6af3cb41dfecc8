// A whole job over the production hub and decisions, with workers that follow the protocol: one
// test for each rule of leases, first members and the end that exists for a special case.

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/api/labels.h"
#include "operator/training_job/completion.h"
#include "operator/training_job/decide.h"
#include "tests/operator/training_job/job_rig.h"

namespace grapevine::training_job {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

bool Over(JobRig& rig) { return api::IsTrue(rig.job.status.conditions, api::kSucceeded); }
bool Failed(JobRig& rig) { return api::IsTrue(rig.job.status.conditions, api::kFailed); }

TEST(Scenario, AJobTrainsEndsAndStopsItsWorkers) {
  JobRig rig(4);
  ASSERT_TRUE(rig.RunUntil(20s, [&] { return Over(rig); }));
  rig.Run(200ms);
  const topology::JobStats stats = rig.Stats();
  EXPECT_EQ(stats.samples, 2 * JobRig::kSamples);
  EXPECT_EQ(stats.stage, topology::Stage::kDone);
  EXPECT_EQ(stats.joined, 4);
  EXPECT_TRUE(stats.settled);
  ASSERT_TRUE(stats.result);
  EXPECT_DOUBLE_EQ(stats.result->accuracy, 0.97);
  EXPECT_EQ(stats.result->samples, JobRig::kTestSamples);
  ASSERT_TRUE(rig.job.status.result);
  EXPECT_EQ(rig.job.status.result->samples, JobRig::kTestSamples);
  for (auto& worker : rig.workers) EXPECT_TRUE(worker->stopped);
  EXPECT_THAT(rig.workers, SizeIs(4)) << "no pod is made for a job that ended";
  EXPECT_THAT(rig.events, Contains("Succeeded"));
  EXPECT_THAT(rig.problems, IsEmpty());
}

TEST(Scenario, ItsChangesOfTheGraphAndItsExchangesAreCounted) {
  JobRig rig(2, 100);
  rig.Run(5s);
  rig.job.spec.workers.replicas = 3;
  ++rig.job.metadata.generation;
  rig.Run(5s);
  const topology::JobStats stats = rig.Stats();
  uint64_t epochs = 0, at_once = 0;
  for (const uint64_t count : stats.graph_edits.counts()) epochs += count;
  for (const uint64_t count : stats.publish_seconds.counts()) at_once += count;
  EXPECT_EQ(epochs, static_cast<uint64_t>(stats.graph_changes));
  EXPECT_EQ(at_once, epochs);
  EXPECT_EQ(stats.graph_edits.sum(), stats.graph_edges) << "only joins: each edge was added once";
  // Each batch counts as an exchange here, and has 32 samples.
  ASSERT_GT(stats.exchanges_per_second, 0);
  EXPECT_NEAR(*stats.exchanges_per_second, *stats.samples_per_second / 32,
              *stats.exchanges_per_second / 2);
}

TEST(Scenario, AJobThatDoesNotLearnIsToldOfUntilItDoes) {
  JobRig rig(1, /*epochs=*/40);
  rig.workers.at(0)->loss = 3;
  const auto told = [&rig] { return std::ranges::count(rig.events, "NotLearning"); };
  const auto reason = [&rig] {
    return api::FindCondition(rig.job.status.conditions, api::kRunning)->reason;
  };
  ASSERT_TRUE(rig.RunUntil(15s, [&] { return told() > 0; }));
  EXPECT_EQ(reason(), "NotLearning");
  EXPECT_GE(rig.Stats().samples, kPatienceSteps * 32);
  rig.workers.at(0)->loss = 1;
  rig.Run(5s);
  EXPECT_EQ(reason(), "Training");
  ASSERT_TRUE(rig.RunUntil(20s, [&] { return Over(rig); }));
  EXPECT_EQ(told(), 1);
  EXPECT_EQ(api::FindCondition(rig.job.status.conditions, api::kSucceeded)->reason, "Completed");
}

TEST(Scenario, RatesAreKnownHoweverOftenTheRosterChanges) {
  JobRig rig(3, 100);
  rig.RunUntil(5s, [&] { return rig.Members().size() == 3; });
  for (int i = 0; i < 40; ++i) {
    rig.job.spec.workers.replicas = 2 + i % 2;
    rig.Reconcile();
    rig.Run(500ms);
  }
  EXPECT_GE(rig.Stats().graph_changes, 40);
  EXPECT_GT(rig.Stats().samples_per_second, 0);
  EXPECT_GT(rig.Stats().exchanges_per_second, 0);
}

TEST(Scenario, FirstMembersRaceAndTheLateOnesCopy) {
  JobRig rig(2, 100);
  rig.workers[1]->paused = true;  // slow to build
  rig.Run(1s);
  ASSERT_THAT(rig.Members(), SizeIs(1));
  EXPECT_EQ(rig.workers[0]->starts.at(0).from(), proto::Start::FROM_SEED);
  rig.workers[1]->paused = false;
  rig.Run(1s);
  ASSERT_THAT(rig.Members(), SizeIs(2));
  EXPECT_EQ(rig.workers[1]->starts.back().from(), proto::Start::FROM_COPY);
  EXPECT_EQ(rig.workers[1]->starts.back().donors(0).member(), rig.workers[0]->member);
  EXPECT_THAT(rig.problems, IsEmpty());
}

TEST(Scenario, ASeedThatIsReadyTooLateIsToldToCopy) {
  JobRig rig(2, 100);
  rig.Run(40ms);  // both were told to begin from the seed
  ASSERT_THAT(rig.workers[1]->starts, SizeIs(1));
  rig.workers[1]->paused = true;
  rig.Run(60ms);
  rig.workers[1]->paused = false;
  rig.Run(2s);
  EXPECT_THAT(rig.Members(), SizeIs(2));
  EXPECT_THAT(rig.problems, IsEmpty());
}

TEST(Scenario, AStragglersLeaseIsRecalledAndNobodyWaitsForIt) {
  JobRig rig(2, 4);
  rig.workers[1]->rate = 16;  // a batch in 2 s
  ASSERT_TRUE(rig.RunUntil(20s, [&] { return Over(rig); }));
  EXPECT_THAT(rig.workers[1]->recalls, testing::Not(IsEmpty()));
  EXPECT_EQ(rig.Stats().samples, 4 * JobRig::kSamples);
  EXPECT_EQ(rig.workers[0]->batches_trained + rig.workers[1]->batches_trained, 40);
}

TEST(Scenario, AnOwnerThatDoesNotAnswerARecallLosesWhatItDidNotReport) {
  JobRig rig(2, 4);
  rig.RunUntil(5s, [&] { return rig.Members().size() == 2; });
  rig.Run(200ms);
  rig.workers[1]->trains = false;
  rig.workers[1]->answers_recall = false;
  ASSERT_TRUE(rig.RunUntil(20s, [&] { return Over(rig); }));
  EXPECT_EQ(rig.Stats().samples, 4 * JobRig::kSamples);
}

TEST(Scenario, APausedOwnerThatReportsLateIsNotCounted) {
  JobRig rig(3, 100);
  rig.RunUntil(5s, [&] { return rig.Members().size() == 3; });
  rig.Run(500ms);
  FakeWorker& paused = *rig.workers[2];
  const MemberId before = paused.member;
  paused.paused = true;
  const Time since = rig.clock.Now();
  ASSERT_TRUE(rig.RunUntil(6s, [&] { return rig.Members().size() == 2; }));
  EXPECT_LE(rig.clock.Now() - since, 6s);
  // What it trained meanwhile on its leases is another's by now.
  const int64_t samples = rig.Stats().samples;
  for (auto& [id, held] : paused.leases) held.done = held.batches;
  rig.Report(paused);
  EXPECT_EQ(rig.Stats().samples, samples);
  EXPECT_EQ(rig.Stats().lost, 1);
  paused.paused = false;
  ASSERT_TRUE(rig.RunUntil(3s, [&] { return rig.Members().size() == 3; }));
  EXPECT_GT(paused.member, before) << "an id is never used again";
  EXPECT_EQ(paused.starts.back().from(), proto::Start::FROM_COPY);
  EXPECT_THAT(rig.problems, IsEmpty());
}

TEST(Scenario, ARosterThatEmptiesGoesOnWithASurvivorsState) {
  JobRig rig(2, 100);
  rig.RunUntil(5s, [&] { return rig.Members().size() == 2; });
  rig.Run(2s);
  const int64_t samples = rig.Stats().samples;
  ASSERT_GT(samples, 0);
  // The one dies, the other is cut off for so long that it leaves too.
  rig.Kill(*rig.workers[0]);
  rig.starts_workers = false;
  FakeWorker& survivor = *rig.workers[1];
  rig.Disconnect(survivor);
  rig.Run(1500ms);
  ASSERT_THAT(rig.Members(), IsEmpty());
  rig.Connect(survivor);
  ASSERT_TRUE(rig.RunUntil(2s, [&] { return rig.Members().size() == 1; }));
  EXPECT_EQ(survivor.starts.back().from(), proto::Start::FROM_HELD);
  EXPECT_GE(rig.Stats().samples, samples) << "progress stays";
  EXPECT_THAT(rig.problems, IsEmpty());
}

TEST(Scenario, WhoBeganAnewButWasNotAdmittedIsNoSurvivor) {
  JobRig rig(2, 100);
  rig.RunUntil(5s, [&] { return rig.Members().size() == 2; });
  rig.Run(2s);
  ASSERT_GT(rig.Stats().samples, 0);
  rig.starts_workers = false;
  rig.Kill(*rig.workers[0]);
  rig.Kill(*rig.workers[1]);
  rig.Run(100ms);
  const auto pod = std::ranges::find_if(rig.pods, [](auto& p) { return p.second.active(); });
  ASSERT_NE(pod, rig.pods.end());
  FakeWorker& fresh = rig.StartWorker(pod->first);
  ASSERT_TRUE(rig.RunUntil(1s, [&] { return fresh.starts.size() == 1; }));
  rig.Disconnect(fresh);
  rig.Run(40ms);
  rig.Connect(fresh);
  ASSERT_TRUE(rig.RunUntil(2s, [&] { return rig.Members().size() == 1; }));
  EXPECT_EQ(fresh.starts.back().from(), proto::Start::FROM_SEED);
  EXPECT_LT(rig.Stats().samples, JobRig::kSamples) << "the seed has trained on nothing";
}

TEST(Scenario, ARosterThatEmptiesWithoutSurvivorBeginsAtTheCheckpointOrAtZero) {
  JobRig rig(1, 100);
  rig.job.spec.checkpoint.path = "/c";
  rig.job.spec.checkpoint.every_seconds = 5;
  rig.RunUntil(8s, [&] { return rig.workers[0]->checkpoints.size() == 1; });
  const auto written = rig.workers[0]->checkpoints.at(0);
  rig.Run(2s);
  ASSERT_GT(rig.Stats().samples, written.progress().samples());
  rig.Kill(*rig.workers[0]);
  ASSERT_TRUE(rig.RunUntil(5s, [&] { return rig.workers.size() == 2 && !rig.Members().empty(); }));
  EXPECT_EQ(rig.workers[1]->starts.back().from(), proto::Start::FROM_CHECKPOINT);
  EXPECT_EQ(rig.workers[1]->starts.back().checkpoint_path(), written.path());
  EXPECT_EQ(rig.Stats().samples, written.progress().samples());
}

TEST(Scenario, AReconnectWithinASecondKeepsIdLeasesAndView) {
  JobRig rig(2, 100);
  rig.RunUntil(5s, [&] { return rig.Members().size() == 2; });
  rig.Run(500ms);
  FakeWorker& worker = *rig.workers[0];
  const MemberId id = worker.member;
  const auto leases = worker.leases.size();
  const uint64_t epoch = rig.Stats().graph_epoch;
  rig.Disconnect(worker);
  rig.Run(400ms);
  rig.Connect(worker);
  rig.Run(2s);
  EXPECT_EQ(worker.member, id);
  EXPECT_GE(worker.leases.size(), leases);
  EXPECT_EQ(rig.Stats().graph_epoch, epoch);
  EXPECT_EQ(rig.Stats().joined, 2);
}

TEST(Scenario, AKilledWorkerLeavesAtOnceAndIsReplaced) {
  JobRig rig(4, 100);
  rig.RunUntil(5s, [&] { return rig.Members().size() == 4; });
  rig.Run(100ms);
  FakeWorker& victim = *rig.workers[1];
  const uint64_t epoch = rig.Stats().graph_epoch;
  rig.Kill(victim);
  rig.Step();
  EXPECT_EQ(rig.Stats().graph_epoch, epoch + 1);
  EXPECT_THAT(rig.Members(), SizeIs(3));
  ASSERT_TRUE(rig.RunUntil(3s, [&] { return rig.Members().size() == 4; }));
  EXPECT_EQ(rig.workers.back()->pod_, "digits-1-1");
  EXPECT_EQ(rig.job.status.workers.restarts, 1);
  EXPECT_EQ(rig.Stats().lost, 1);
  EXPECT_THAT(rig.events, Contains("WorkerFailed"));
  EXPECT_THAT(rig.problems, IsEmpty());
}

TEST(Scenario, ScalingInAndOutMakesNoFailures) {
  JobRig rig(4, 200);
  rig.RunUntil(5s, [&] { return rig.Members().size() == 4; });
  rig.job.spec.workers.replicas = 6;
  rig.Reconcile();
  ASSERT_TRUE(rig.RunUntil(3s, [&] { return rig.Members().size() == 6; }));
  rig.job.spec.workers.replicas = 3;
  rig.job.spec.workers.remove_first = {"digits-0-0"};
  rig.Reconcile();
  ASSERT_TRUE(rig.RunUntil(3s, [&] { return rig.Members().size() == 3; }));
  rig.Run(1s);
  EXPECT_FALSE(rig.pods.contains("digits-0-0"));
  EXPECT_THAT(rig.pods, SizeIs(3));
  EXPECT_EQ(rig.job.status.workers.restarts, 0);
  EXPECT_EQ(rig.Stats().left, 3);
  EXPECT_EQ(rig.Stats().lost, 0);
  EXPECT_THAT(rig.problems, IsEmpty());
}

TEST(Scenario, ThoseWhoAreRecolouredGetViewsThatAgree) {
  JobRig rig(6, 500);
  rig.RunUntil(5s, [&] { return rig.Members().size() == 6; });
  rig.Run(100ms);
  rig.starts_workers = false;
  // All of one side go: somebody has to change over.
  for (FakeWorker* worker : rig.Members()) {
    if (worker->view.side() == proto::SIDE_PASSIVE) rig.Kill(*worker);
  }
  rig.Run(500ms);
  const auto members = rig.Members();
  ASSERT_THAT(members, SizeIs(3));
  int active = 0;
  for (FakeWorker* worker : members) {
    active += worker->view.side() == proto::SIDE_ACTIVE;
    for (const proto::Peer& peer : worker->view.neighbours()) {
      auto other = std::ranges::find(members, peer.member(), &FakeWorker::member);
      ASSERT_NE(other, members.end()) << "a neighbour that is gone";
      EXPECT_NE((*other)->view.side(), worker->view.side());
      EXPECT_EQ(peer.address(), (*other)->pod_ + ":1");
    }
  }
  EXPECT_TRUE(active == 1 || active == 2);
  EXPECT_THAT(rig.problems, IsEmpty());
}

TEST(Scenario, ARandomRegularGraphKeepsItsDegree) {
  JobRig rig(9, 500);
  rig.job.spec.graph = {.policy = api::GraphPolicy::kRandomRegular, .degree = 3};
  ASSERT_TRUE(rig.RunUntil(5s, [&] { return rig.Members().size() == 9; }));
  rig.Run(200ms);
  for (FakeWorker* worker : rig.Members()) EXPECT_LE(worker->view.neighbours_size(), 3);
  EXPECT_THAT(rig.problems, IsEmpty());
}

TEST(Scenario, TheFinalizerIsKilledAndAnotherIsNamed) {
  JobRig rig(3, 1);
  for (auto& worker : rig.workers) worker->answers_finalize = false;
  ASSERT_TRUE(rig.RunUntil(10s, [&] { return rig.hub.Observe(rig.key()).finalize.has_value(); }));
  rig.Run(100ms);
  auto named = std::ranges::find_if(rig.workers, [](auto& w) { return !w->finalizes.empty(); });
  ASSERT_NE(named, rig.workers.end());
  for (auto& worker : rig.workers) worker->answers_finalize = true;
  rig.Kill(**named);
  ASSERT_TRUE(rig.RunUntil(2s, [&] { return Over(rig); }));
  EXPECT_THAT(rig.workers, SizeIs(3)) << "no pod is made after finish";
}

TEST(Scenario, AnAnswerFromSomebodyWhoWasNotAskedIsNone) {
  JobRig rig(2, 1);
  for (auto& worker : rig.workers) worker->answers_finalize = false;
  const auto asked = [&] {
    return std::ranges::find_if(rig.workers, [](auto& w) { return !w->finalizes.empty(); });
  };
  ASSERT_TRUE(rig.RunUntil(20s, [&] { return asked() != rig.workers.end(); }));
  proto::WorkerMessage answer;
  answer.mutable_finalized()->set_id((*asked())->finalizes[0].id());
  answer.mutable_finalized()->set_test_samples(1);
  for (auto& worker : rig.workers) {
    if (worker != *asked()) rig.hub.OnMessage(worker->session, answer);
  }
  rig.Run(100ms);
  EXPECT_FALSE(rig.hub.Observe(rig.key()).final_result);
  rig.hub.OnMessage((*asked())->session, answer);
  rig.Run(100ms);
  EXPECT_TRUE(rig.hub.Observe(rig.key()).final_result);
}

std::vector<int64_t> SlicesTaken(const JobRig& rig) {
  std::vector<int64_t> samples;
  for (auto& worker : rig.workers) {
    samples.push_back(0);
    for (const auto& slice : worker->slices) {
      samples.back() += slice.end_sample() - slice.first_sample();
    }
  }
  return samples;
}

TEST(Scenario, AShortEvaluationIsTheFinalizersAlone) {
  JobRig rig(3);
  ASSERT_TRUE(rig.RunUntil(20s, [&] { return Over(rig); }));
  for (auto& worker : rig.workers) {
    EXPECT_TRUE(worker->idle);
    EXPECT_EQ(worker->slices.size(), worker->finalizes.size());
  }
  EXPECT_EQ(rig.Stats().result->samples, JobRig::kTestSamples);
}

TEST(Scenario, ALongEvaluationIsSharedAndEachSampleCountsOnce) {
  JobRig rig(3);
  rig.evaluation_seconds = 30;
  ASSERT_TRUE(rig.RunUntil(20s, [&] { return Over(rig); }));
  for (const int64_t samples : SlicesTaken(rig)) EXPECT_GT(samples, 0);
  for (auto& worker : rig.workers) {
    for (const auto& slice : worker->slices) {
      EXPECT_EQ(slice.finalizer().member(), rig.Stats().result->member);
      EXPECT_EQ(slice.finalize(), worker->slices[0].finalize());
    }
  }
  EXPECT_DOUBLE_EQ(rig.Stats().result->accuracy, 0.97);
  EXPECT_EQ(rig.Stats().result->samples, JobRig::kTestSamples);
}

TEST(Scenario, ThePeersThatHangOrFailOrDieCostTheEvaluationNothing) {
  JobRig rig(4);
  rig.evaluation_seconds = 30;
  for (auto& worker : rig.workers) worker->answers_finalize = false;
  ASSERT_TRUE(rig.RunUntil(20s, [&] { return rig.hub.Observe(rig.key()).finalize.has_value(); }));
  rig.Run(100ms);
  auto named = std::ranges::find_if(rig.workers, [](auto& w) { return !w->finalizes.empty(); });
  ASSERT_NE(named, rig.workers.end());
  std::vector<FakeWorker*> others;
  for (auto& worker : rig.workers) {
    if (worker != *named) others.push_back(worker.get());
  }
  others[0]->answers_slices = false;
  others[1]->slice_error = "no copy";
  others[2]->answers_slices = false;
  (*named)->answers_slices = false;
  proto::WorkerMessage answer;
  answer.mutable_finalized()->set_id((*named)->finalizes[0].id());
  answer.mutable_finalized()->set_test_samples(JobRig::kTestSamples);
  answer.mutable_finalized()->set_evaluation_seconds(30);
  rig.hub.OnMessage((*named)->session, answer);
  rig.Run(100ms);
  ASSERT_FALSE(others[2]->slices.empty());
  EXPECT_EQ(others[1]->slices.size(), 1u) << "who cannot is not asked again";
  rig.Kill(*others[2]);
  (*named)->answers_slices = true;
  rig.Disconnect(**named);
  rig.Connect(**named);
  ASSERT_TRUE(rig.RunUntil(2s, [&] { return Over(rig); }));
  EXPECT_DOUBLE_EQ(rig.Stats().result->accuracy, 0.97);
  EXPECT_EQ(rig.Stats().result->member, (*named)->member);
}

TEST(Scenario, WithoutTheFinalizerTheEvaluationBeginsAnewWithAnothersWeights) {
  JobRig rig(3);
  rig.evaluation_seconds = 30;
  for (auto& worker : rig.workers) worker->answers_slices = false;
  const auto slices = [&] {
    size_t all = 0;
    for (auto& worker : rig.workers) all += worker->slices.size();
    return all;
  };
  ASSERT_TRUE(rig.RunUntil(20s, [&] { return slices() == 3; }));
  auto named = std::ranges::find_if(rig.workers, [](auto& w) { return !w->finalizes.empty(); });
  const uint64_t first = (*named)->slices[0].finalize();
  for (auto& worker : rig.workers) worker->settles = false;  // with nobody new: exchanges are over
  for (auto& worker : rig.workers) worker->answers_slices = true;
  rig.Kill(**named);
  ASSERT_TRUE(rig.RunUntil(2s, [&] { return Over(rig); }));
  for (auto& worker : rig.workers) {
    if (worker == *named) continue;
    EXPECT_NE(worker->slices.back().finalize(), first);
  }
  EXPECT_EQ(rig.Stats().result->samples, JobRig::kTestSamples);
}

TEST(Scenario, AFinalizerThatCannotEvaluateIsAnErrorAndAnotherIsNamed) {
  JobRig rig(2);
  for (auto& worker : rig.workers) worker->slice_error = "out of memory";
  ASSERT_TRUE(rig.RunUntil(20s, [&] { return Failed(rig); }));
  const auto* failed = api::FindCondition(rig.job.status.conditions, api::kFailed);
  EXPECT_EQ(failed->reason, "FinalizeFailed");
  EXPECT_EQ(failed->message, "out of memory");
  for (auto& worker : rig.workers) EXPECT_FALSE(worker->finalizes.empty());
}

TEST(Scenario, TheFinalizerHangsThoughItReportsAndAnotherIsNamed) {
  JobRig rig(2);
  for (auto& worker : rig.workers) worker->answers_finalize = false;
  const auto asked = [&](int requests) {
    size_t all = 0;
    for (auto& worker : rig.workers) all += worker->finalizes.size();
    return all == static_cast<size_t>(requests);
  };
  ASSERT_TRUE(rig.RunUntil(20s, [&] { return asked(1); }));
  ASSERT_TRUE(rig.RunUntil(kEvaluationLimit + 5s, [&] { return asked(2); }));
  rig.Run(kEvaluationLimit + 5s);
  EXPECT_TRUE(asked(2)) << "who comes next is given twice the time";
  for (auto& worker : rig.workers) worker->answers_finalize = true;
  ASSERT_TRUE(rig.RunUntil(kEvaluationLimit + 5s, [&] { return Over(rig); }));
  EXPECT_EQ(rig.workers[0]->finalizes.size() + rig.workers[1]->finalizes.size(), 3u);
  EXPECT_EQ(rig.Stats().lost, 0) << "nobody was sent away for it";
}

TEST(Scenario, AFinalizerThatHangsAloneFailsTheJobInTheEnd) {
  JobRig rig(1);
  rig.workers[0]->answers_finalize = false;
  // The limit doubles each time.
  ASSERT_TRUE(rig.RunUntil(30s + 7 * kEvaluationLimit, [&] { return Failed(rig); }));
  const auto* failed = api::FindCondition(rig.job.status.conditions, api::kFailed);
  EXPECT_EQ(failed->reason, "FinalizeFailed");
  EXPECT_EQ(failed->message, "member 1 has not answered");
}

TEST(Scenario, AFailedEvaluationIsNoResultAndTheNextOneIsAskedFor) {
  JobRig rig(1, 20);
  rig.workers[0]->evaluation_error = "no test set";
  ASSERT_TRUE(rig.RunUntil(20s, [&] { return rig.workers[0]->evaluations == 2; }));
  EXPECT_THAT(rig.Stats().evaluations, IsEmpty());
  EXPECT_FALSE(rig.hub.Observe(rig.key()).evaluation);
}

TEST(Scenario, AllAreLostAfterFinishAndTheJobTrainsAgain) {
  JobRig rig(2, 1);
  for (auto& worker : rig.workers) worker->settles = false;
  ASSERT_TRUE(
      rig.RunUntil(10s, [&] { return rig.hub.Observe(rig.key()).finish_since.has_value(); }));
  for (size_t i = 0; i < 2; ++i) rig.Kill(*rig.workers[i]);
  ASSERT_TRUE(rig.RunUntil(20s, [&] { return Over(rig); }));
  EXPECT_EQ(rig.workers[2]->starts.back().from(), proto::Start::FROM_SEED);
  EXPECT_EQ(rig.Stats().samples, JobRig::kSamples);
}

TEST(Scenario, ModelsThatDoNotMeetAreGivenThirtySeconds) {
  JobRig rig(2, 1);
  for (auto& worker : rig.workers) worker->settles = false;
  ASSERT_TRUE(
      rig.RunUntil(10s, [&] { return rig.hub.Observe(rig.key()).finish_since.has_value(); }));
  rig.Run(29s);
  EXPECT_FALSE(Over(rig));
  ASSERT_TRUE(rig.RunUntil(2s, [&] { return Over(rig); }));
  EXPECT_FALSE(rig.Stats().settled);
}

TEST(Scenario, BelowMinReplicasExchangesGoOnWithoutLeases) {
  JobRig rig(2, 1000);
  rig.job.spec.workers.min_replicas = 2;
  rig.RunUntil(5s, [&] { return rig.Members().size() == 2; });
  rig.Run(1s);
  rig.starts_workers = false;
  rig.Kill(*rig.workers[0]);
  rig.Run(15s);  // leases in hand end
  EXPECT_TRUE(api::IsTrue(rig.job.status.conditions, api::kDegraded));
  const int64_t samples = rig.Stats().samples;
  rig.Run(5s);
  EXPECT_EQ(rig.Stats().samples, samples);
  rig.StartWorker("digits-0-1");
  rig.Run(3s);
  EXPECT_FALSE(api::IsTrue(rig.job.status.conditions, api::kDegraded));
  EXPECT_GT(rig.Stats().samples, samples);
}

TEST(Scenario, AnUnfitDatasetFailsTheJobAtOnce) {
  JobRig rig(2);
  proto::WorkerMessage message;
  message.mutable_unfit()->set_reason("InvalidDataset");
  message.mutable_unfit()->set_message("labels out of range");
  rig.hub.OnMessage(rig.workers[0]->session, message);
  rig.Run(40ms);
  ASSERT_TRUE(Failed(rig));
  EXPECT_EQ(api::FindCondition(rig.job.status.conditions, api::kFailed)->reason, "InvalidDataset");
  rig.Run(1s);
  EXPECT_THAT(rig.workers, SizeIs(2));
}

TEST(Scenario, AnotherLayoutIsRefused) {
  JobRig rig(2, 100);
  rig.workers[1]->layout_hash = 8;
  rig.Run(1s);
  EXPECT_TRUE(rig.workers[0]->admitted);
  EXPECT_TRUE(rig.workers[1]->refused);
  EXPECT_THAT(rig.Members(), SizeIs(1));
}

TEST(Scenario, TooManyFailuresEndTheJob) {
  JobRig rig(1, 1000);
  rig.job.spec.failure_policy.max_restarts = 2;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(rig.RunUntil(10s, [&] {
      return rig.workers.size() == static_cast<size_t>(i + 1) && rig.Members().size() == 1;
    }));
    rig.Kill(*rig.workers.back());
    rig.Step();
  }
  ASSERT_TRUE(Failed(rig));
  EXPECT_EQ(api::FindCondition(rig.job.status.conditions, api::kFailed)->reason, "TooManyRestarts");
}

TEST(Scenario, AStopThatIsAskedForEndsInOrder) {
  JobRig rig(3, 1000);
  rig.RunUntil(5s, [&] { return rig.Members().size() == 3; });
  rig.job.metadata.annotations[api::kStopRequestedAnnotation] = "true";
  rig.Reconcile();
  ASSERT_TRUE(rig.RunUntil(5s, [&] { return Failed(rig); }));
  EXPECT_EQ(api::FindCondition(rig.job.status.conditions, api::kFailed)->reason, "Stopped");
  EXPECT_TRUE(rig.Stats().result) << "with consensus and evaluation";
}

TEST(Scenario, SuspendKeepsACheckpointAndResumesFromIt) {
  JobRig rig(2, 1000);
  rig.job.spec.checkpoint.path = "/c";
  rig.RunUntil(5s, [&] { return rig.Members().size() == 2; });
  rig.Run(2s);
  rig.job.spec.suspend = true;
  rig.Reconcile();
  ASSERT_TRUE(
      rig.RunUntil(10s, [&] { return api::IsTrue(rig.job.status.conditions, api::kSuspended); }));
  EXPECT_THAT(rig.pods, IsEmpty());
  EXPECT_EQ(rig.job.status.workers.restarts, 0);
  rig.Run(2s);
  rig.job.spec.suspend = false;
  rig.Reconcile();
  ASSERT_TRUE(rig.RunUntil(5s, [&] { return rig.Members().size() == 2; }));
  EXPECT_EQ(rig.workers[2]->starts.at(0).from(), proto::Start::FROM_CHECKPOINT);
  EXPECT_THAT(rig.events, Not(Contains("Degraded"))) << "it starts as any job does";
}

TEST(Scenario, AJobThatIsResumedInTheSecondOfItsSuspensionIsNotDegraded) {
  JobRig rig(2, 1000);
  rig.job.spec.workers.min_replicas = 2;
  rig.RunUntil(5s, [&] { return rig.Members().size() == 2; });
  rig.job.spec.suspend = true;
  rig.Reconcile();
  ASSERT_TRUE(
      rig.RunUntil(10s, [&] { return api::IsTrue(rig.job.status.conditions, api::kSuspended); }));
  rig.job.spec.suspend = false;
  rig.Reconcile();
  const api::Condition* running = api::FindCondition(rig.job.status.conditions, api::kRunning);
  const api::Condition* suspended = api::FindCondition(rig.job.status.conditions, api::kSuspended);
  ASSERT_EQ(running->last_transition_time, suspended->last_transition_time);
  EXPECT_EQ(running->reason, "Resuming");
  ASSERT_TRUE(rig.RunUntil(5s, [&] { return rig.Members().size() == 2; }));
  EXPECT_THAT(rig.events, Not(Contains("Degraded")));

  rig.starts_workers = false;
  for (FakeWorker* member : rig.Members()) rig.Kill(*member);
  rig.Run(2s);
  EXPECT_THAT(rig.events, Contains("Degraded")) << "it has run since";
}

TEST(Scenario, MembersEvaluateInTurnAfterDataEpochs) {
  JobRig rig(2, 20);
  ASSERT_TRUE(rig.RunUntil(60s, [&] { return Over(rig); }));
  EXPECT_GT(rig.workers[0]->evaluations, 0);
  EXPECT_GT(rig.workers[1]->evaluations, 0);
  EXPECT_LE(rig.Stats().evaluations.size(), 20u);
}

TEST(Scenario, DataEpochsThatAreTrainedAgainAreEvaluatedAgain) {
  JobRig rig(1, 100);
  const auto evaluations = [&] { return rig.Stats().evaluations.size(); };
  ASSERT_TRUE(rig.RunUntil(60s, [&] { return evaluations() == 3; }));
  rig.Kill(*rig.workers[0]);
  ASSERT_TRUE(rig.RunUntil(60s, [&] { return evaluations() == 4; }));
  EXPECT_LT(rig.Stats().data_epochs, 2);
}

TEST(Scenario, APauseOfTheHubItselfCostsNobodyMembership) {
  JobRig rig(3, 1000);
  rig.RunUntil(5s, [&] { return rig.Members().size() == 3; });
  rig.Run(200ms);
  rig.clock.Advance(30s);
  rig.Reconcile();
  rig.Run(1s);
  EXPECT_THAT(rig.Members(), SizeIs(3));
  EXPECT_EQ(rig.Stats().joined, 3);
}

TEST(Scenario, APauseOfTheHubItselfEndsNoRecall) {
  JobRig rig(2, 4);
  rig.workers[1]->rate = 16;
  rig.workers[1]->answers_recall = false;
  ASSERT_TRUE(rig.RunUntil(20s, [&] { return !rig.workers[1]->recalls.empty(); }));
  const auto granted = [&] {
    return std::ranges::count_if(rig.workers[0]->inbox, [](auto& m) { return m.has_lease(); });
  };
  const auto before = granted();
  rig.clock.Advance(30s);
  rig.hub.Tick();
  EXPECT_EQ(granted(), before) << "what was recalled is not another's yet";
  ASSERT_TRUE(rig.RunUntil(20s, [&] { return Over(rig); }));
}

}  // namespace
}  // namespace grapevine::training_job
