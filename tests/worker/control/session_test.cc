#include "worker/control/session.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/worker/control/recording_parts.h"

namespace grapevine::control {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

proto::HubMessage AssignMessage(uint64_t member, const std::string& uid = "u1") {
  proto::HubMessage message;
  message.mutable_assign()->set_member(member);
  message.mutable_assign()->set_job_uid(uid);
  return message;
}

proto::HubMessage StartMessage(proto::Start::From from) {
  proto::HubMessage message;
  message.mutable_start()->set_from(from);
  return message;
}

proto::HubMessage CheckpointMessage(const std::string& path) {
  proto::HubMessage message = StartMessage(proto::Start::FROM_CHECKPOINT);
  message.mutable_start()->set_checkpoint_path(path);
  return message;
}

proto::HubMessage ViewMessage(uint64_t epoch) {
  proto::HubMessage message;
  message.mutable_view()->set_epoch(epoch);
  message.mutable_view()->set_side(proto::SIDE_ACTIVE);
  message.mutable_view()->add_neighbours()->set_member(2);
  return message;
}

proto::HubMessage LeaseMessage(uint64_t lease, int64_t batches) {
  proto::HubMessage message;
  message.mutable_lease()->set_lease(lease);
  message.mutable_lease()->add_ranges()->set_end_batch(batches);
  return message;
}

proto::HubMessage SpecMessage(const std::string& spec_json) {
  proto::HubMessage message;
  message.mutable_spec_changed()->set_spec_json(spec_json);
  return message;
}

proto::HubMessage EvaluateMessage(uint64_t id) {
  proto::HubMessage message;
  message.mutable_evaluate()->set_id(id);
  return message;
}

proto::HubMessage FinishMessage() {
  proto::HubMessage message;
  message.mutable_finish();
  return message;
}

class SessionTest : public ::testing::Test {
 protected:
  std::vector<proto::WorkerMessage> Sent() { return std::exchange(sent_, {}); }
  // The only message since the last call; an empty one, and a failure, if it is not one.
  proto::WorkerMessage SentOne() {
    const auto sent = Sent();
    EXPECT_THAT(sent, SizeIs(1));
    return sent.size() == 1 ? sent[0] : proto::WorkerMessage();
  }
  int Reports() {
    int reports = 0;
    for (const auto& message : Sent()) reports += message.has_report() ? 1 : 0;
    return reports;
  }
  void Forget() {
    sent_.clear();
    parts_.Take();
  }

  void Build(uint64_t member) {
    session_.OnConnected();
    session_.OnMessage(AssignMessage(member));
    session_.OnBuilt("u1", built_);
    Forget();
  }
  void Admit(uint64_t member) {
    Build(member);
    session_.OnMessage(StartMessage(proto::Start::FROM_SEED));
    session_.OnStarted(absl::OkStatus(), 0);
    session_.OnMessage(ViewMessage(1));
    Forget();
  }
  void TrainOneBatch() {
    const auto draw = parts_.queue->Next();
    ASSERT_TRUE(draw && parts_.queue->Start(*draw));
    parts_.queue->Done(*draw);
  }

  const SessionOptions options_{
      .name_space = "default", .job = "digits", .pod = "p0", .pod_uid = "pu", .address = "a:1"};
  proto::Built built_;
  RecordingParts parts_;
  std::vector<proto::WorkerMessage> sent_;
  Session session_{options_, parts_,
                   [this](const proto::WorkerMessage& message) { sent_.push_back(message); }};
  Time now_ = Time(1000s);
};

TEST_F(SessionTest, RegistersOnAStreamAsSomebodyNew) {
  session_.OnConnected();
  const auto registration = SentOne().register_();
  EXPECT_EQ(registration.namespace_(), "default");
  EXPECT_EQ(registration.job(), "digits");
  EXPECT_EQ(registration.pod(), "p0");
  EXPECT_EQ(registration.pod_uid(), "pu");
  EXPECT_EQ(registration.address(), "a:1");
  EXPECT_EQ(registration.member(), 0u);
  EXPECT_EQ(registration.job_uid(), "");
  EXPECT_FALSE(registration.has_view());
}

TEST_F(SessionTest, GoesFromAssignToTraining) {
  session_.OnConnected();
  session_.OnMessage(AssignMessage(7));
  EXPECT_THAT(parts_.Take(), ElementsAre("build u1 as 7"));
  Sent();
  built_.set_layout_hash(5);
  session_.OnBuilt("u1", built_);
  EXPECT_THAT(parts_.Take(), ElementsAre("become 7"));
  EXPECT_EQ(SentOne().built().layout_hash(), 5u);
  session_.OnMessage(StartMessage(proto::Start::FROM_COPY));
  EXPECT_THAT(parts_.Take(), ElementsAre("begin FROM_COPY"));
  EXPECT_THAT(Sent(), IsEmpty());
  session_.OnStarted(absl::OkStatus(), 1.5);
  const auto ready = SentOne().ready();
  EXPECT_EQ(ready.from(), proto::Start::FROM_COPY);
  EXPECT_EQ(ready.copy_seconds(), 1.5);
  EXPECT_FALSE(session_.admitted());
  session_.OnMessage(ViewMessage(3));
  EXPECT_THAT(parts_.Take(), ElementsAre("view 3 of 1", "train"));
  EXPECT_TRUE(session_.admitted());
  session_.OnMessage(ViewMessage(4));
  EXPECT_THAT(parts_.Take(), ElementsAre("view 4 of 1"));
}

TEST_F(SessionTest, AStartThatFailsAsksForAnother) {
  Build(7);
  session_.OnMessage(StartMessage(proto::Start::FROM_COPY));
  session_.OnStarted(absl::UnavailableError("no donor"), 0);
  EXPECT_EQ(SentOne().leave().reason(), "no donor");
}

TEST_F(SessionTest, WhoCannotLoadACheckpointSaysWhatItHasInsteadAndStays) {
  Build(7);
  session_.OnMessage(CheckpointMessage("/c/2"));
  parts_.Take();
  proto::Checkpoint instead;
  instead.set_path("/c/1");
  session_.OnUnreadable(absl::DataLossError("ends at byte 9"), instead);
  const auto said = SentOne().unreadable();
  EXPECT_EQ(said.checkpoint_path(), "/c/2");
  EXPECT_EQ(said.reason(), "ends at byte 9");
  EXPECT_EQ(said.instead().path(), "/c/1");
  session_.OnMessage(CheckpointMessage("/c/1"));
  EXPECT_THAT(parts_.Take(), ElementsAre("begin FROM_CHECKPOINT"));
  session_.OnStarted(absl::OkStatus(), 0);
  EXPECT_EQ(SentOne().ready().from(), proto::Start::FROM_CHECKPOINT);
}

TEST_F(SessionTest, ToAnotherHubItNamesTheCheckpointThatItHasInstead) {
  built_.mutable_checkpoint()->set_path("/c/2");
  Build(7);
  session_.OnMessage(CheckpointMessage("/c/2"));
  session_.OnDisconnected();
  proto::Checkpoint instead;
  instead.set_path("/c/1");
  session_.OnUnreadable(absl::DataLossError("ends at byte 9"), instead);
  Forget();
  session_.OnConnected();
  Forget();
  session_.OnMessage(AssignMessage(8));
  EXPECT_EQ(SentOne().built().checkpoint().path(), "/c/1");
}

TEST_F(SessionTest, ASecondStartWaitsForTheFirstAndAloneIsAnswered) {
  Build(7);
  session_.OnMessage(StartMessage(proto::Start::FROM_COPY));
  session_.OnMessage(StartMessage(proto::Start::FROM_CHECKPOINT));
  session_.OnMessage(StartMessage(proto::Start::FROM_SEED));
  EXPECT_THAT(parts_.Take(), ElementsAre("begin FROM_COPY"));
  session_.OnStarted(absl::UnavailableError("no donor"), 0);
  EXPECT_THAT(Sent(), IsEmpty());
  EXPECT_THAT(parts_.Take(), ElementsAre("begin FROM_SEED"));
  session_.OnStarted(absl::OkStatus(), 0);
  EXPECT_EQ(SentOne().ready().from(), proto::Start::FROM_SEED);
}

TEST_F(SessionTest, ItHoldsStateFromItsAdmissionOnAndNoSooner) {
  const auto registration = [this] {
    session_.OnDisconnected();
    Forget();
    session_.OnConnected();
    return SentOne().register_();
  };
  Build(7);
  for (const auto from :
       {proto::Start::FROM_SEED, proto::Start::FROM_CHECKPOINT, proto::Start::FROM_COPY}) {
    session_.OnMessage(StartMessage(from));
    session_.OnStarted(absl::OkStatus(), 0);
    EXPECT_FALSE(registration().holds_state()) << proto::Start::From_Name(from);
    session_.OnMessage(AssignMessage(8 + from));
  }
  session_.OnMessage(StartMessage(proto::Start::FROM_COPY));
  session_.OnStarted(absl::OkStatus(), 0);
  session_.OnMessage(ViewMessage(1));
  EXPECT_TRUE(registration().holds_state());
  session_.OnMessage(AssignMessage(20));
  session_.OnMessage(StartMessage(proto::Start::FROM_HELD));
  session_.OnStarted(absl::OkStatus(), 0);
  EXPECT_TRUE(registration().holds_state()) << "what it kept is still a member's";
  session_.OnMessage(AssignMessage(21));
  session_.OnMessage(StartMessage(proto::Start::FROM_CHECKPOINT));
  session_.OnStarted(absl::NotFoundError("no file"), 0);
  EXPECT_FALSE(registration().holds_state()) << "what it had may be half overwritten";
}

TEST_F(SessionTest, CannotKeepWhatItDoesNotHold) {
  Build(7);
  session_.OnMessage(StartMessage(proto::Start::FROM_HELD));
  EXPECT_THAT(parts_.Take(), IsEmpty());
  EXPECT_EQ(SentOne().leave().reason(), "this worker holds no state");
  session_.OnMessage(StartMessage(proto::Start::FROM_SEED));
  EXPECT_THAT(parts_.Take(), ElementsAre("begin FROM_SEED"));
}

TEST_F(SessionTest, AStartOfAnEarlierIdIsNotAnswered) {
  Build(7);
  session_.OnMessage(StartMessage(proto::Start::FROM_COPY));
  session_.OnDisconnected();
  session_.OnConnected();
  session_.OnMessage(AssignMessage(8));
  Forget();
  session_.OnStarted(absl::UnavailableError("the member took a new identity"), 0);
  EXPECT_THAT(Sent(), IsEmpty());
  session_.OnMessage(StartMessage(proto::Start::FROM_COPY));
  session_.OnStarted(absl::OkStatus(), 0);
  EXPECT_TRUE(SentOne().has_ready());
}

TEST_F(SessionTest, ANewStreamHearsNothingBeforeItHasSaidWhoThisIs) {
  Build(7);
  session_.OnMessage(StartMessage(proto::Start::FROM_COPY));
  session_.OnDisconnected();
  session_.OnConnected();
  Forget();
  session_.OnStarted(absl::OkStatus(), 0);
  EXPECT_THAT(Sent(), IsEmpty());
}

TEST_F(SessionTest, AnAnswerWaitsUntilTheHubAsksAgainOnANewStream) {
  Admit(7);
  session_.OnMessage(EvaluateMessage(4));
  session_.OnDisconnected();
  session_.OnConnected();
  Forget();
  proto::Evaluated evaluated;
  evaluated.set_id(4);
  session_.OnEvaluated(4, absl::OkStatus(), evaluated);
  EXPECT_THAT(Sent(), IsEmpty());
  session_.OnMessage(AssignMessage(7));
  session_.OnMessage(EvaluateMessage(4));
  EXPECT_EQ(SentOne().evaluated().id(), 4u);
}

TEST_F(SessionTest, IsNotUnfitOnAStreamThatHasNotBeenAssignedYet) {
  session_.OnConnected();
  session_.OnMessage(AssignMessage(7));
  session_.OnDisconnected();
  session_.OnConnected();
  Forget();
  session_.OnUnfit("u1", "InvalidDataset", "no file");
  EXPECT_THAT(Sent(), IsEmpty());
  session_.OnMessage(AssignMessage(8));
  EXPECT_THAT(parts_.Take(), ElementsAre("build u1 as 8"));
}

TEST_F(SessionTest, WhatIsAskedForBeforeThereIsAModelIsPassedOver) {
  session_.OnConnected();
  session_.OnMessage(AssignMessage(7));
  Forget();
  for (const auto& message : {StartMessage(proto::Start::FROM_SEED), ViewMessage(1),
                              LeaseMessage(1, 1), EvaluateMessage(1), FinishMessage()}) {
    session_.OnMessage(message);
  }
  session_.OnMessage(proto::HubMessage());
  EXPECT_THAT(parts_.Take(), IsEmpty());
  EXPECT_THAT(Sent(), IsEmpty());
}

TEST_F(SessionTest, SaysThatItIsUnfitAndTriesAgainWhenItIsAssignedAgain) {
  session_.OnConnected();
  session_.OnMessage(AssignMessage(7));
  Forget();
  session_.OnUnfit("u1", "InvalidDataset", "no file");
  const auto unfit = SentOne().unfit();
  EXPECT_EQ(unfit.reason(), "InvalidDataset");
  EXPECT_EQ(unfit.message(), "no file");
  session_.OnDisconnected();
  session_.OnConnected();
  session_.OnMessage(AssignMessage(8));
  EXPECT_THAT(parts_.Take(), ElementsAre("build u1 as 8"));
}

TEST_F(SessionTest, AReconnectPresentsItsIdViewAndLeasesAndGoesOn) {
  Admit(7);
  session_.OnMessage(LeaseMessage(11, 3));
  TrainOneBatch();
  session_.OnDisconnected();
  session_.OnConnected();
  const auto registration = SentOne().register_();
  EXPECT_EQ(registration.member(), 7u);
  EXPECT_EQ(registration.job_uid(), "u1");
  EXPECT_TRUE(registration.holds_state());
  EXPECT_EQ(registration.view().epoch(), 1u);
  EXPECT_EQ(registration.view().side(), proto::SIDE_ACTIVE);
  ASSERT_EQ(registration.view().neighbours_size(), 1);
  EXPECT_EQ(registration.view().neighbours(0).member(), 2u);
  ASSERT_EQ(registration.leases_size(), 1);
  EXPECT_EQ(registration.leases(0).lease(), 11u);
  EXPECT_EQ(registration.leases(0).batches_done(), 1);
  session_.OnMessage(AssignMessage(7));
  EXPECT_THAT(parts_.Take(), IsEmpty());
  EXPECT_EQ(parts_.queue->unstarted(), 2);
  EXPECT_TRUE(session_.admitted());
}

TEST_F(SessionTest, UnderANewIdItJoinsAnewWithWhatItHasBuilt) {
  Admit(7);
  session_.OnMessage(LeaseMessage(11, 3));
  session_.OnDisconnected();
  session_.OnConnected();
  Sent();
  session_.OnMessage(AssignMessage(9));
  EXPECT_EQ(session_.member(), 9u);
  EXPECT_FALSE(session_.admitted());
  EXPECT_THAT(parts_.Take(), ElementsAre("become 9"));
  EXPECT_TRUE(SentOne().has_built());
  EXPECT_EQ(parts_.queue->unstarted(), 0);
}

TEST_F(SessionTest, WhatIsBuiltWhileTheStreamIsBrokenIsSaidOnTheNext) {
  session_.OnConnected();
  session_.OnMessage(AssignMessage(7));
  session_.OnDisconnected();
  Sent();
  session_.OnBuilt("u1", built_);
  session_.OnConnected();
  EXPECT_TRUE(SentOne().has_register_());
  session_.OnMessage(AssignMessage(8));
  EXPECT_TRUE(SentOne().has_built());
}

TEST_F(SessionTest, WhatWasBuiltForAReplacedJobIsDropped) {
  session_.OnConnected();
  session_.OnMessage(AssignMessage(7, "u1"));
  session_.OnMessage(AssignMessage(1, "u2"));
  EXPECT_THAT(parts_.Take(), ElementsAre("build u1 as 7", "build u2 as 1"));
  Sent();
  EXPECT_FALSE(session_.Awaits("u1"));
  session_.OnBuilt("u1", built_);
  session_.OnUnfit("u1", "InvalidDataset", "no file");
  EXPECT_THAT(Sent(), IsEmpty());
  EXPECT_THAT(parts_.Take(), IsEmpty());
  session_.OnBuilt("u2", built_);
  EXPECT_THAT(parts_.Take(), ElementsAre("become 1"));
  EXPECT_TRUE(SentOne().has_built());
}

TEST_F(SessionTest, AnswersForAReplacedJobAreDropped) {
  Admit(7);
  session_.OnMessage(EvaluateMessage(1));
  session_.OnMessage(AssignMessage(1, "u2"));
  session_.OnBuilt("u2", built_);
  Forget();
  proto::Evaluated evaluated;
  evaluated.set_id(1);
  session_.OnEvaluated(1, absl::OkStatus(), evaluated);
  EXPECT_THAT(Sent(), IsEmpty());
}

TEST_F(SessionTest, ARequestThatComesAgainIsAnsweredAgainAndDoneOnce) {
  Admit(7);
  session_.OnMessage(EvaluateMessage(4));
  EXPECT_THAT(parts_.Take(), ElementsAre("evaluate 4"));
  session_.OnMessage(EvaluateMessage(4));  // not answered yet
  EXPECT_THAT(parts_.Take(), IsEmpty());
  EXPECT_THAT(Sent(), IsEmpty());
  proto::Evaluated evaluated;
  evaluated.set_id(4);
  evaluated.set_accuracy(0.5);
  session_.OnEvaluated(4, absl::OkStatus(), evaluated);
  EXPECT_EQ(SentOne().evaluated().accuracy(), 0.5);
  session_.OnMessage(EvaluateMessage(4));
  EXPECT_THAT(parts_.Take(), IsEmpty());
  EXPECT_EQ(SentOne().evaluated().accuracy(), 0.5);
}

TEST_F(SessionTest, AnEvaluationThatFailsIsAnsweredToo) {
  Admit(7);
  session_.OnMessage(EvaluateMessage(4));
  proto::Evaluated evaluated;
  evaluated.set_id(4);
  session_.OnEvaluated(4, absl::DataLossError("not a number"), evaluated);
  const auto answer = SentOne().evaluated();
  EXPECT_EQ(answer.id(), 4u);
  EXPECT_EQ(answer.error(), "DATA_LOSS: not a number");
}

TEST_F(SessionTest, PassesOnCheckpointAndFinalizeAndTheirAnswers) {
  Admit(7);
  proto::HubMessage message;
  message.mutable_write_checkpoint()->set_id(5);
  message.mutable_write_checkpoint()->set_path("/c/1");
  session_.OnMessage(message);
  message.mutable_finalize()->set_id(6);
  session_.OnMessage(message);
  EXPECT_THAT(parts_.Take(), ElementsAre("checkpoint 5 /c/1", "finalize 6"));
  proto::CheckpointWritten written;
  written.set_id(5);
  written.set_error("disk full");
  session_.OnCheckpointWritten(written);
  EXPECT_EQ(SentOne().checkpoint_written().error(), "disk full");
  proto::Finalized finalized;
  finalized.set_id(6);
  finalized.set_test_samples(2);
  session_.OnFinalized(finalized);
  EXPECT_EQ(SentOne().finalized().test_samples(), 2);
}

TEST_F(SessionTest, PassesOnIdleAndASliceOnceAndSaysItsAnswerAgain) {
  Admit(7);
  proto::HubMessage message;
  message.mutable_idle();
  session_.OnMessage(message);
  message.mutable_evaluate_slice()->set_id(8);
  message.mutable_evaluate_slice()->set_finalize(6);
  message.mutable_evaluate_slice()->set_end_sample(64);
  session_.OnMessage(message);
  session_.OnMessage(message);
  EXPECT_THAT(parts_.Take(), ElementsAre("idle", "slice 8 of 6: 0 to 64"));
  proto::SliceEvaluated evaluated;
  evaluated.set_id(8);
  evaluated.set_correct(60);
  session_.OnSliceEvaluated(evaluated);
  EXPECT_EQ(SentOne().slice_evaluated().correct(), 60);
  session_.OnMessage(message);
  EXPECT_EQ(SentOne().slice_evaluated().correct(), 60);
  evaluated.set_id(9);
  session_.OnSliceEvaluated(evaluated);
  EXPECT_THAT(Sent(), IsEmpty()) << "nobody asked";
}

TEST_F(SessionTest, ARecalledLeaseIsGivenBackFromItsFirstUnusedBatch) {
  Admit(7);
  session_.OnMessage(LeaseMessage(11, 3));
  TrainOneBatch();
  proto::HubMessage recall;
  recall.mutable_recall()->set_lease(11);
  session_.OnMessage(recall);
  const auto given_back = SentOne().lease_return();
  EXPECT_EQ(given_back.lease(), 11u);
  EXPECT_EQ(given_back.first_unused(), 1);
  EXPECT_EQ(given_back.batches_done(), 1);
}

TEST_F(SessionTest, ARecallOfAnUnknownLeaseSaysThatNothingWasUsed) {
  Admit(7);
  proto::HubMessage recall;
  recall.mutable_recall()->set_lease(99);
  session_.OnMessage(recall);
  const auto given_back = SentOne().lease_return();
  EXPECT_EQ(given_back.lease(), 99u);
  EXPECT_EQ(given_back.first_unused(), 0);
}

TEST_F(SessionTest, AMalformedLeaseAddsNothing) {
  Admit(7);
  session_.OnMessage(LeaseMessage(11, 101));  // the data epoch has 100
  session_.OnMessage(LeaseMessage(0, 1));
  session_.OnMessage(LeaseMessage(12, 0));
  EXPECT_EQ(parts_.queue->unstarted(), 0);
}

TEST_F(SessionTest, FinishStopsTrainingOnceAndAViewDoesNotResumeIt) {
  Build(7);
  session_.OnMessage(FinishMessage());
  session_.OnMessage(FinishMessage());
  session_.OnMessage(ViewMessage(1));
  EXPECT_THAT(parts_.Take(), ElementsAre("finish", "view 1 of 1"));
}

TEST_F(SessionTest, TrainsAgainWhenItIsStartedAgainAfterFinish) {
  Admit(7);
  session_.OnMessage(FinishMessage());
  session_.OnMessage(StartMessage(proto::Start::FROM_HELD));
  session_.OnStarted(absl::OkStatus(), 0);
  session_.OnMessage(ViewMessage(2));
  EXPECT_THAT(parts_.Take(), ElementsAre("finish", "begin FROM_HELD", "view 2 of 1", "train"));
}

TEST_F(SessionTest, TellsOfAnotherSpecOnceWheneverItComes) {
  session_.OnConnected();
  session_.OnMessage(AssignMessage(7));
  session_.OnMessage(SpecMessage("early"));
  session_.OnMessage(SpecMessage("later"));
  EXPECT_THAT(parts_.Take(), ElementsAre("build u1 as 7"));
  session_.OnBuilt("u1", built_);
  EXPECT_THAT(parts_.Take(), ElementsAre("become 7", "spec later"));
  session_.OnMessage(SpecMessage("later"));
  EXPECT_THAT(parts_.Take(), IsEmpty());
  session_.OnMessage(SpecMessage("last"));
  EXPECT_THAT(parts_.Take(), ElementsAre("spec last"));
}

TEST_F(SessionTest, ASpecThatChangedWhileThereWasNoStreamComesWithTheAssign) {
  session_.OnConnected();
  session_.OnMessage(AssignMessage(7));
  session_.OnBuilt("u1", built_);
  session_.OnDisconnected();
  session_.OnConnected();
  parts_.Take();
  proto::HubMessage assign = AssignMessage(7);
  assign.mutable_assign()->set_spec_json("other");
  session_.OnMessage(assign);
  EXPECT_THAT(parts_.Take(), ElementsAre("spec other"));
}

TEST_F(SessionTest, WhatWasBuiltForAnotherJobIsNotToldOfTheSpecItWasBuiltBy) {
  session_.OnConnected();
  session_.OnMessage(AssignMessage(7));
  session_.OnMessage(SpecMessage("changed"));
  proto::HubMessage assign = AssignMessage(8, "u2");
  assign.mutable_assign()->set_spec_json("another job's");
  session_.OnMessage(assign);
  parts_.Take();
  session_.OnBuilt("u2", built_);
  EXPECT_THAT(parts_.Take(), ElementsAre("become 8"));
}

TEST_F(SessionTest, StopAndRefusalEndIt) {
  session_.OnConnected();
  proto::HubMessage message;
  message.mutable_stop()->set_reason("the job is over");
  session_.OnMessage(message);
  message.mutable_refused()->set_reason("another layout");
  session_.OnMessage(message);
  EXPECT_THAT(parts_.Take(), ElementsAre("stop: the job is over", "refused: another layout"));
}

TEST_F(SessionTest, ReportsEachSecond) {
  Admit(7);
  session_.OnMessage(LeaseMessage(11, 50));
  for (int tick = 0; tick < 250; ++tick) session_.Tick(now_ += Session::kTickInterval);
  EXPECT_EQ(Reports(), 5);
}

TEST_F(SessionTest, AReportSaysHowFarTheLeasesAre) {
  Admit(7);
  session_.OnMessage(LeaseMessage(11, 3));
  TrainOneBatch();
  parts_.steps = 8;
  session_.Tick(now_);
  const auto report = SentOne().report();
  EXPECT_EQ(report.steps(), 8);
  ASSERT_EQ(report.leases_size(), 1);
  EXPECT_EQ(report.leases(0).lease(), 11u);
  EXPECT_EQ(report.leases(0).batches_done(), 1);
  EXPECT_EQ(report.lease_batches_left(), 2);
}

TEST_F(SessionTest, ReportsEarlyAndOnceWhenTheLeasesRunLow) {
  Admit(7);
  session_.OnMessage(LeaseMessage(11, 6));
  session_.Tick(now_);
  ASSERT_EQ(Reports(), 1);
  for (int batch = 0; batch < 3; ++batch) {
    TrainOneBatch();
    session_.Tick(now_ += Session::kTickInterval);
  }
  ASSERT_EQ(Reports(), 0);
  TrainOneBatch();  // two left, of which one tick takes one
  session_.Tick(now_ += Session::kTickInterval);
  EXPECT_EQ(Reports(), 1);
  TrainOneBatch();
  session_.Tick(now_ += Session::kTickInterval);
  EXPECT_EQ(Reports(), 0);
}

TEST_F(SessionTest, ReportsAtOnceThatTheLeasesAreWorkedOff) {
  Admit(7);
  session_.OnMessage(LeaseMessage(11, 1));
  session_.Tick(now_);
  TrainOneBatch();
  session_.Tick(now_ += Session::kTickInterval);  // for another lease, which does not come
  Forget();
  session_.OnWorkedOff();
  session_.Tick(now_ += 1ms);
  EXPECT_EQ(Reports(), 0) << "not so soon after the last";
  session_.Tick(now_ += Session::kNewsInterval);
  const auto report = SentOne().report();
  ASSERT_EQ(report.leases_size(), 1);
  EXPECT_EQ(report.leases(0).batches_done(), 1);
  session_.Tick(now_ += Session::kNewsInterval);
  EXPECT_EQ(Reports(), 0);
}

TEST_F(SessionTest, ReportsAtOnceThatItAgreesWithItsNeighboursAndThatItNoLongerDoes) {
  Admit(7);
  session_.OnMessage(FinishMessage());
  session_.Tick(now_);
  EXPECT_FALSE(SentOne().report().settled());
  session_.Tick(now_ += Session::kNewsInterval);
  EXPECT_EQ(Reports(), 0);
  parts_.agrees = true;
  session_.Tick(now_ += 1ms);
  EXPECT_TRUE(SentOne().report().settled());
  session_.Tick(now_ += Session::kNewsInterval);
  EXPECT_EQ(Reports(), 0);
  parts_.agrees = false;
  session_.Tick(now_ += Session::kNewsInterval);
  EXPECT_FALSE(SentOne().report().settled());
}

TEST_F(SessionTest, SaysOnANewStreamAgainThatItAgrees) {
  Admit(7);
  session_.OnMessage(FinishMessage());
  parts_.agrees = true;
  session_.Tick(now_);
  EXPECT_EQ(Reports(), 1);
  session_.OnDisconnected();
  session_.OnConnected();
  session_.OnMessage(AssignMessage(7));
  Forget();
  session_.Tick(now_ += Session::kNewsInterval);
  EXPECT_EQ(Reports(), 1);
}

TEST_F(SessionTest, HoweverOftenItChangesItsMindReportsAreFew) {
  Admit(7);
  session_.OnMessage(FinishMessage());
  for (int i = 0; i < 1000; ++i) {
    parts_.agrees = !parts_.agrees;
    session_.Tick(now_ += 1ms);
  }
  EXPECT_LE(Reports(), 1s / Session::kNewsInterval + 1);
}

TEST_F(SessionTest, SaysNothingBeforeItHasRegistered) {
  session_.Tick(now_);
  session_.OnConnected();
  Sent();
  session_.Tick(now_ += 2s);
  EXPECT_THAT(Sent(), IsEmpty());
}

TEST_F(SessionTest, LeavesWithItsLeasesHandedBackAndIsSilentAfterwards) {
  Admit(7);
  session_.OnMessage(LeaseMessage(11, 3));
  TrainOneBatch();
  session_.Leave("asked to end");
  const auto sent = Sent();
  ASSERT_THAT(sent, SizeIs(3));
  EXPECT_EQ(sent[0].report().leases(0).batches_done(), 1);
  EXPECT_EQ(sent[1].lease_return().first_unused(), 1);
  EXPECT_EQ(sent[2].leave().reason(), "asked to end");
  session_.Leave("again");
  session_.OnMessage(ViewMessage(9));
  session_.Tick(now_ += 2s);
  session_.OnDisconnected();
  session_.OnConnected();
  EXPECT_THAT(Sent(), IsEmpty());
  EXPECT_THAT(parts_.Take(), IsEmpty());
}

}  // namespace
}  // namespace grapevine::control
