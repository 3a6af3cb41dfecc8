#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/api/labels.h"
#include "operator/training_job/completion.h"
#include "operator/training_job/disruption_tally.h"
#include "operator/training_job/elasticity.h"
#include "operator/training_job/failure_policy.h"
#include "operator/training_job/job_status.h"
#include "operator/training_job/observe.h"
#include "operator/training_job/upkeep.h"
#include "operator/training_job/worker_pod.h"

namespace grapevine::training_job {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Observed JobOf(int replicas) {
  Observed observed;
  observed.job.metadata.name = "job";
  observed.job.metadata.uid = "u";
  observed.job.spec.workers.replicas = replicas;
  observed.hub.graph = std::make_shared<const graph::Graph>();
  observed.now = Time(1000s);
  observed.wall = api::WallTime(std::chrono::seconds(1'700'000'000));
  return observed;
}

WorkerPod Pod(int slot, int incarnation, WorkerPod::State state = WorkerPod::State::kRunning) {
  return {.name = "job-" + std::to_string(slot) + "-" + std::to_string(incarnation),
          .uid = "uid-" + std::to_string(slot) + "-" + std::to_string(incarnation),
          .slot = slot,
          .incarnation = incarnation,
          .state = state,
          .assigned = true,
          .ready = true,
          .created = "2024-01-01T00:00:00Z"};
}

std::vector<std::string> Names(const std::vector<PodToDelete>& pods) {
  std::vector<std::string> names;
  for (auto& pod : pods) names.push_back(pod.name);
  return names;
}

TEST(Elasticity, FillsTheLowestSlotsWithNewIncarnations) {
  Observed observed = JobOf(3);
  observed.pods = {Pod(0, 0, WorkerPod::State::kFailed), Pod(0, 1, WorkerPod::State::kTerminating),
                   Pod(2, 4)};
  const PodChanges changes = Scale(observed, 3);
  ASSERT_EQ(changes.create.size(), 2u);
  EXPECT_EQ(changes.create[0].slot, 0);
  EXPECT_EQ(changes.create[0].incarnation, 2);
  EXPECT_EQ(changes.create[1].slot, 1);
  EXPECT_EQ(changes.create[1].incarnation, 0);
  EXPECT_THAT(changes.remove, IsEmpty());
}

TEST(Elasticity, RemovesInTheOrderOfTheDesign) {
  Observed observed = JobOf(0);
  for (int slot = 0; slot < 8; ++slot) observed.pods.push_back(Pod(slot, 0));
  observed.job.spec.workers.remove_first = {"job-6-0"};
  observed.pods[5].assigned = false;
  observed.pods[5].state = WorkerPod::State::kPending;
  observed.pods[4].state = WorkerPod::State::kPending;
  observed.pods[3].ready = false;
  observed.pods[2].deletion_cost = -5;
  observed.pods[1].created = "2024-01-02T00:00:00Z";
  observed.pods.push_back(Pod(9, 0, WorkerPod::State::kTerminating));
  EXPECT_THAT(Names(Scale(observed, 0).remove),
              ElementsAre("job-6-0", "job-5-0", "job-4-0", "job-3-0", "job-2-0", "job-1-0",
                          "job-7-0", "job-0-0"));
  EXPECT_THAT(Names(Scale(observed, 6).remove), ElementsAre("job-6-0", "job-5-0"));
}

TEST(Elasticity, RenewsOnePodAtATimeAndOnlyWhileAllTakePart) {
  Observed observed = JobOf(2);
  observed.pods = {Pod(0, 0), Pod(1, 0)};
  observed.pods[0].template_hash = observed.pods[1].template_hash = "old";
  EXPECT_THAT(NextToRenew(observed, "new"), IsEmpty()) << "nobody is a member";
  observed.hub.graph = std::make_shared<const graph::Graph>(
      *graph::Graph::MakeComplete({{1, graph::Side::kActive}, {2, graph::Side::kPassive}}));
  EXPECT_THAT(Names(NextToRenew(observed, "new")), ElementsAre("job-0-0"));
  EXPECT_THAT(NextToRenew(observed, "old"), IsEmpty());
}

// A broken image would hold up its own mending.
TEST(Elasticity, PodsThatHaveNotStartedAreRenewedAtOnceWhoeverElseTakesPart) {
  Observed observed = JobOf(4);
  for (int slot = 0; slot < 4; ++slot) {
    const bool pending = slot % 2 == 1;
    observed.pods.push_back(
        Pod(slot, 0, pending ? WorkerPod::State::kPending : WorkerPod::State::kRunning));
    observed.pods.back().template_hash = "old";
  }
  EXPECT_THAT(Names(NextToRenew(observed, "new")), ElementsAre("job-1-0", "job-3-0"));
  observed.pods[1].template_hash = observed.pods[3].template_hash = "new";
  EXPECT_THAT(NextToRenew(observed, "new"), IsEmpty()) << "the new ones come first";
}

TEST(Elasticity, RenewsPastPodsThatFindNoNodeUnlessTheTemplateMayBeWhy) {
  const struct {
    const char* what;
    int members;
    int min_replicas;
    std::vector<const char*> hindrances;  // of pods of the new template; empty: it runs
    bool goes_on;
  } cases[] = {
      {"one waits for room", 3, 2, {"Unschedulable"}, true},
      {"nobody is to spare", 3, 3, {"Unschedulable"}, false},
      {"two wait and none runs", 2, 1, {"Unschedulable", "Unschedulable"}, false},
      {"two wait and one runs", 2, 1, {"", "Unschedulable", "Unschedulable"}, true},
      {"the image is broken", 3, 2, {"ImagePullBackOff"}, false},
      {"one is starting", 3, 2, {"Starting"}, false},
  };
  for (const auto& each : cases) {
    Observed observed = JobOf(4);
    observed.job.spec.workers.min_replicas = each.min_replicas;
    std::vector<graph::Member> members;
    for (int slot = 0; slot < 4; ++slot) {
      observed.pods.push_back(Pod(slot, 0));
      WorkerPod& pod = observed.pods.back();
      const auto place = static_cast<size_t>(slot);
      pod.template_hash = place < each.hindrances.size() ? "new" : "old";
      if (place >= each.hindrances.size() || *each.hindrances[place] == '\0') continue;
      pod.state = WorkerPod::State::kPending;
      const std::string why = each.hindrances[place];
      if (why != "Starting") pod.hindrance.reason = why;
    }
    for (int id = 1; id <= each.members; ++id) {
      members.push_back({static_cast<graph::MemberId>(id),
                         id % 2 == 1 ? graph::Side::kActive : graph::Side::kPassive});
    }
    observed.hub.graph = std::make_shared<const graph::Graph>(*graph::Graph::MakeComplete(members));
    EXPECT_EQ(NextToRenew(observed, "new").size(), each.goes_on ? 1u : 0u) << each.what;
  }
}

TEST(FailurePolicy, CountsOnlyPodsThatEndedByThemselves) {
  Observed observed = JobOf(1);
  observed.job.spec.failure_policy.max_restarts = 1;
  observed.pods = {Pod(0, 0, WorkerPod::State::kFailed), Pod(1, 0, WorkerPod::State::kFailed),
                   Pod(2, 0, WorkerPod::State::kTerminating)};
  observed.pods[1].disrupted = true;
  observed.disrupted = 1;
  const Failures failures = JudgeFailures(observed);
  EXPECT_EQ(failures.restarts, 1);
  EXPECT_EQ(failures.disrupted, 1);
  EXPECT_FALSE(failures.too_many);
  observed.pods.push_back(Pod(0, 1, WorkerPod::State::kFailed));
  EXPECT_TRUE(JudgeFailures(observed).too_many);
}

TEST(FailurePolicy, NeverForgetsAndNeverCountsTheEndOfAJob) {
  Observed observed = JobOf(1);
  observed.job.status.workers.restarts = 4;
  EXPECT_EQ(JudgeFailures(observed).restarts, 4);
  observed.hub.finish_since = observed.now;
  for (int i = 0; i < 20; ++i) observed.pods.push_back(Pod(i, 0, WorkerPod::State::kSucceeded));
  EXPECT_EQ(JudgeFailures(observed).restarts, 4);
}

// Its pods, each made when the one before had ended.
void AddLives(Observed& observed, int slot, const std::vector<int>& seconds) {
  int total = 0;
  for (const int each : seconds) total += each;
  api::WallTime at = observed.wall - std::chrono::seconds(total);
  for (size_t i = 0; i < seconds.size(); ++i) {
    WorkerPod& pod =
        observed.pods.emplace_back(Pod(slot, static_cast<int>(i), WorkerPod::State::kFailed));
    pod.created = api::FormatWallTime(at);
    at += std::chrono::seconds(seconds[i]);
    pod.finished = api::FormatWallTime(at);
  }
}

TEST(FailurePolicy, ASlotWhosePodsFailOneAfterAnotherWaitsLongerEachTime) {
  struct Case {
    std::vector<int> lives;  // s
    int64_t after;           // s, that the last one ended
    Duration wait;
  };
  const std::vector<Case> cases = {{{}, 0, 0s},
                                   {{1}, 0, 0s},
                                   {{1, 1}, 0, 1s},
                                   {{1, 1, 59}, 0, 2s},
                                   {{1, 1, 1, 1}, 0, 4s},
                                   {{1, 1, 1, 1}, 3, 1s},
                                   {{1, 1, 1, 1}, 4, 0s},
                                   {{1, 1, 1, 1}, -3600, 4s},
                                   {{1, 1, 1, 1, 1, 1, 1}, 0, 30s},
                                   {std::vector<int>(500, 1), 0, 30s},
                                   {{1, 1, 1, 60}, 0, 0s},
                                   {{1, 1, 1, 60, 1, 1}, 0, 1s}};
  for (const Case& each : cases) {
    Observed observed = JobOf(1);
    AddLives(observed, 7, each.lives);
    observed.wall += std::chrono::seconds(each.after);
    const auto waits = JudgeFailures(observed).waits;
    const auto found = waits.find(7);
    EXPECT_EQ(found == waits.end() ? 0s : found->second, each.wait)
        << each.lives.size() << " lives, " << each.after << " s ago";
  }
}

TEST(FailurePolicy, ASlotThatWaitsHoldsUpNoOtherAndIsNotPassedOver) {
  Observed observed = JobOf(3);
  observed.job.spec.failure_policy.max_restarts = 100;
  AddLives(observed, 0, {1, 1, 1});
  AddLives(observed, 1, {1});
  observed.pods.push_back(Pod(2, 0));
  const Decision decision = Decide(observed);
  ASSERT_EQ(decision.create.size(), 1u);
  EXPECT_EQ(decision.create[0].slot, 1);
  ASSERT_TRUE(decision.requeue_after);
  EXPECT_LE(*decision.requeue_after, 2s);
  observed.wall += std::chrono::seconds(2);
  EXPECT_EQ(Decide(observed).create.size(), 2u);
}

TEST(FailurePolicy, APodThatDoesNotSayWhenItEndedLivedShortAndItsSlotWaits) {
  Observed observed = JobOf(1);
  for (int i = 0; i < 4; ++i) {
    observed.pods.push_back(Pod(0, i, WorkerPod::State::kFailed));
    observed.pods.back().disrupted = true;
    observed.pods.back().created = api::FormatWallTime(observed.wall);
  }
  EXPECT_EQ(JudgeFailures(observed).waits.at(0), 4s);
  observed.wall += std::chrono::seconds(4);
  EXPECT_THAT(JudgeFailures(observed).waits, IsEmpty());
}

TEST(FailurePolicy, PodsWithoutAnyTimesWaitForNothing) {
  Observed observed = JobOf(1);
  for (int i = 0; i < 5; ++i) {
    observed.pods.push_back(Pod(0, i, WorkerPod::State::kFailed));
    observed.pods.back().created = "yesterday";
  }
  EXPECT_THAT(JudgeFailures(observed).waits, IsEmpty());
}

TEST(DisruptionTally, CountsEachPodOnceAndNeverFalls) {
  DisruptionTally tally;
  const auto taken = [](int slot, int incarnation) {
    WorkerPod pod = Pod(slot, incarnation, WorkerPod::State::kTerminating);
    pod.disrupted = true;
    return pod;
  };
  EXPECT_EQ(tally.Count({Pod(0, 0)}, 0), 0);
  EXPECT_EQ(tally.Count({taken(0, 0)}, 0), 1);
  EXPECT_EQ(tally.Count({taken(0, 0)}, 0), 1) << "the cache shows an old status";
  EXPECT_EQ(tally.Count({Pod(0, 0)}, 1), 1);
  EXPECT_EQ(tally.Count({taken(0, 0)}, 1), 1) << "its node came back and is lost again";
  EXPECT_EQ(tally.Count({}, 1), 1);
  EXPECT_EQ(tally.Count({taken(0, 1), taken(1, 0)}, 1), 3);
  EXPECT_EQ(tally.Count({taken(1, 0)}, 3), 3);
  EXPECT_EQ(tally.Count({taken(1, 0), taken(2, 0)}, 3), 4);
}

TEST(DisruptionTally, ANewLeaderCountsNothingTwice) {
  struct Case {
    int32_t in_status;
    size_t there;
    int32_t total;
  };
  WorkerPod taken = Pod(0, 0, WorkerPod::State::kFailed);
  taken.disrupted = true;
  for (const Case& each : {Case{0, 0, 0}, Case{7, 0, 7}, Case{7, 1, 7}, Case{0, 1, 1}}) {
    DisruptionTally tally;
    const std::vector<WorkerPod> there(each.there, taken);
    EXPECT_EQ(tally.Count(there, each.in_status), each.total);
    EXPECT_EQ(tally.Count(there, each.in_status), each.total);
  }
}

Observed Training(const std::vector<MemberId>& members) {
  Observed observed = JobOf(static_cast<int>(members.size()));
  for (MemberId id : members) {
    topology::RegistrantView& view = observed.hub.registrants.emplace_back();
    view.rules.id = id;
    view.rules.member = view.connected = true;
  }
  observed.hub.training_since = observed.now;
  return observed;
}

TEST(Upkeep, AnEvaluationWaitsUntilItCostsFivePercentAtMost) {
  Observed observed = Training({3, 5});
  observed.hub.data_epochs_done = 1;
  observed.hub.evaluated_by = 3;
  topology::Directives directives;
  Maintain(observed, directives);
  EXPECT_EQ(directives.evaluate, MemberId{5});
  observed.hub.evaluated_at = observed.now - 9s;
  observed.hub.evaluation_took = 1s;  // 1 s of 2 members' 10 s
  directives = {};
  EXPECT_EQ(Maintain(observed, directives), Duration(1s));
  EXPECT_FALSE(directives.evaluate);
  observed.now += 1s;
  Maintain(observed, directives);
  EXPECT_TRUE(directives.evaluate);
}

TEST(Upkeep, AnEvaluationThatIsNotAnsweredIsAskedOfTheNext) {
  Observed observed = Training({3, 5});
  observed.hub.evaluation = topology::Pending{.member = 5, .since = observed.now};
  const auto asked = [&] {
    topology::Directives directives;
    Maintain(observed, directives);
    return directives.evaluate;
  };
  observed.now += kEvaluationLimit - 1ms;
  EXPECT_FALSE(asked());
  observed.now += 1ms;
  EXPECT_EQ(asked(), MemberId{3});
  observed.hub.evaluation_took = kEvaluationLimit;
  EXPECT_FALSE(asked()) << "they take long";
  observed.now += kEvaluationLimit;
  EXPECT_EQ(asked(), MemberId{3});
  observed.hub.registrants.front().connected = false;
  EXPECT_FALSE(asked()) << "there is nobody else";
}

TEST(Upkeep, ACheckpointThatIsNotAnsweredIsAskedOfTheNext) {
  Observed observed = Training({3, 5});
  observed.job.spec.checkpoint.path = "/c";
  observed.job.spec.checkpoint.every_seconds = 10;
  observed.hub.checkpoint_tried_at = observed.now;
  observed.hub.checkpoint_write = topology::Pending{.member = 3, .since = observed.now};
  topology::Directives directives;
  observed.now += kCheckpointLimit - 1ms;
  Maintain(observed, directives);
  EXPECT_FALSE(directives.write_checkpoint);
  observed.now += 1ms;
  Maintain(observed, directives);
  ASSERT_TRUE(directives.write_checkpoint);
  EXPECT_EQ(directives.write_checkpoint->member, 5u);
  directives = {};
  observed.hub.leases_stopped_since = observed.now;
  EXPECT_FALSE(ReadyToSuspend(observed, directives));
  ASSERT_TRUE(directives.write_checkpoint);
  EXPECT_EQ(directives.write_checkpoint->member, 5u);
}

// Member 3 was asked to finalize and does not answer: `next` is asked, once the limit is over.
void ExpectAskedNext(const std::vector<MemberId>& members, MemberId next) {
  Observed observed = Training(members);
  observed.hub.finish_since = observed.now;
  observed.hub.finalize = topology::Pending{.member = 3, .since = observed.now};
  topology::Directives directives;
  observed.now += kEvaluationLimit - 1ms;
  WindUp(observed, directives);
  EXPECT_FALSE(directives.finalize);
  observed.now += 1ms;
  WindUp(observed, directives);
  ASSERT_TRUE(directives.finalize);
  EXPECT_EQ(directives.finalize->member, next);
}

TEST(Completion, AFinalizeThatIsNotAnsweredIsAskedOfTheNext) { ExpectAskedNext({3, 5}, 5); }

TEST(Completion, AFinalizeThatIsNotAnsweredIsAskedAgainOfTheOnlyOne) { ExpectAskedNext({3}, 3); }

TEST(WorkerPod, CarriesTheTemplateAndSaysWhoseItIs) {
  api::TrainingJob job;
  job.metadata.name = "job";
  job.metadata.uid = "u";
  job.spec.workers.pod_template = {
      {"metadata", {{"labels", {{"team", "x"}}}}},
      {"spec", {{"containers", {{{"name", "w"}, {"command", {"worker"}}}}}}}};
  const nlohmann::json object = MakeWorkerPod(job, {2, 1}, {.hub_address = "hub:1"});
  EXPECT_EQ(object["metadata"]["name"], "job-2-1");
  EXPECT_EQ(object["metadata"]["labels"]["team"], "x");
  EXPECT_EQ(object["spec"]["restartPolicy"], "Never");
  EXPECT_EQ(object["spec"]["containers"][0]["command"][0], "worker");
  EXPECT_EQ(object["spec"]["containers"][0]["env"][0]["value"], "hub:1");
  const auto pod = ReadWorkerPod(object, "u");
  ASSERT_TRUE(pod);
  EXPECT_EQ(pod->slot, 2);
  EXPECT_EQ(pod->incarnation, 1);
  EXPECT_EQ(pod->template_hash, TemplateHash(job.spec));
  EXPECT_FALSE(ReadWorkerPod(object, "another job's"));
}

TEST(WorkerPod, AMalformedTemplateOrPodHarmsNobody) {
  api::TrainingJob job;
  job.metadata.name = "job";
  job.spec.workers.pod_template = {{"metadata", 3}, {"spec", {{"containers", {7}}}}};
  EXPECT_EQ(MakeWorkerPod(job, {0, 0}, {.hub_address = "h"})["metadata"]["name"], "job-0-0");
  for (const char* text : {"3", "{}", R"({"metadata":{"ownerReferences":7}})",
                           R"({"metadata":{"ownerReferences":[{"uid":"u","controller":true}]}})"}) {
    EXPECT_FALSE(ReadWorkerPod(nlohmann::json::parse(text), "u")) << text;
  }
}

// Anybody may write a label; the next incarnation is counted from it.
TEST(WorkerPod, NumbersThatNoneOfOursHasAreNotRead) {
  api::TrainingJob job;
  job.metadata = {.name = "job", .uid = "u"};
  nlohmann::json object = MakeWorkerPod(job, {2, 1}, {.hub_address = "hub:1"});
  for (const char* label : {api::kSlotLabel, api::kIncarnationLabel}) {
    nlohmann::json& number = object["metadata"]["labels"][label];
    const std::string before = number;
    for (const char* wrong : {"-1", "2147483647", "4294967295", "9223372036854775807", "1e3"}) {
      number = wrong;
      EXPECT_FALSE(ReadWorkerPod(object, "u")) << label << " " << wrong;
    }
    number = before;
    EXPECT_TRUE(ReadWorkerPod(object, "u"));
  }
}

nlohmann::json EndedPod(const std::string& message, int code = 1) {
  return {{"metadata",
           {{"name", "job-0-0"},
            {"uid", "p"},
            {"labels", {{api::kSlotLabel, "0"}, {api::kIncarnationLabel, "0"}}},
            {"ownerReferences", {{{"uid", "u"}, {"controller", true}}}}}},
          {"status",
           {{"phase", code == 0 ? "Succeeded" : "Failed"},
            {"containerStatuses",
             {{{"state",
                {{"terminated",
                  {{"exitCode", code}, {"reason", "Error"}, {"message", message}}}}}}}}}}};
}

TEST(WorkerPodTest, TheCauseOfAFailureIsTheLastThingThatItSaid) {
  const auto cause = [](const nlohmann::json& object) {
    nlohmann::json trimmed = object;
    TrimWorkerPod(trimmed);
    const std::string read = ReadWorkerPod(object, "u")->cause;
    EXPECT_EQ(ReadWorkerPod(trimmed, "u")->cause, read);
    return read;
  };
  EXPECT_EQ(cause(EndedPod("2026-05-01T12:00:00.123Z info  fine\n"
                           "2026-05-01T12:00:01.123Z error loss not finite job=a/b member=3\n"
                           "2026-05-01T12:00:02.123Z warn  the hub is away\n")),
            "exit code 1: loss not finite");
  EXPECT_EQ(cause(EndedPod("first\nno such file\n\n")), "exit code 1: no such file");
  EXPECT_EQ(cause(EndedPod("")), "exit code 1");
  EXPECT_EQ(cause(EndedPod(std::string(10'000, 'x'))), "exit code 1: " + std::string(400, 'x'));
  std::string euros;
  for (int i = 0; i < 200; ++i) euros += "\xE2\x82\xAC";
  EXPECT_EQ(cause(EndedPod(euros)), "exit code 1: " + euros.substr(0, 399));
  EXPECT_EQ(cause(EndedPod("gone", 0)), "");
  nlohmann::json pod = EndedPod("", 137);
  pod["status"]["containerStatuses"][0]["state"]["terminated"]["reason"] = "OOMKilled";
  EXPECT_EQ(cause(pod), "OOMKilled: exit code 137");
  nlohmann::json& containers = pod["status"]["containerStatuses"];
  containers.insert(containers.begin(), {{"state", {{"running", {}}}}});
  containers.insert(containers.begin(), {{"state", {{"terminated", {{"exitCode", 0}}}}}});
  EXPECT_EQ(cause(pod), "OOMKilled: exit code 137");
  pod["status"]["reason"] = "Evicted";
  pod["status"]["containerStatuses"] = nlohmann::json::array();
  EXPECT_EQ(cause(pod), "Evicted");
  pod["status"] = {{"phase", "Failed"}, {"containerStatuses", {3, {{"state", 7}}}}};
  EXPECT_EQ(cause(pod), "");
}

Observed FailedPods(int count, const std::string& cause, bool at_once = true) {
  Observed observed;
  observed.wall = *api::ParseWallTime("2026-05-01T12:10:00Z");
  for (int i = 0; i < count; ++i) {
    observed.pods.push_back({.name = "job-0-" + std::to_string(i),
                             .incarnation = i,
                             .state = WorkerPod::State::kFailed,
                             .created = "2026-05-01T12:00:00Z",
                             .finished = at_once ? "2026-05-01T12:00:05Z" : "2026-05-01T12:09:00Z",
                             .cause = cause});
  }
  return observed;
}

TEST(FailurePolicy, PodsThatAllFailAtOnceForOneCauseNeedNoTenRestarts) {
  const auto ending = [](const Observed& observed) {
    return JudgeEnding(observed, JudgeFailures(observed));
  };
  const auto alike = ending(FailedPods(4, "exit code 1: no data"));
  ASSERT_TRUE(alike);
  EXPECT_EQ(alike->reason, "WorkersFailAlike");
  EXPECT_EQ(
      alike->message,
      "4 pods failed at once, all for the same cause; the last: job-0-3, exit code 1: no data");
  EXPECT_FALSE(ending(FailedPods(3, "exit code 1: no data")));
  EXPECT_FALSE(ending(FailedPods(4, "")));
  EXPECT_FALSE(ending(FailedPods(4, "exit code 1")));
  Observed others_train = FailedPods(4, "exit code 1: no data");
  others_train.pods.push_back({.name = "job-1-0",
                               .slot = 1,
                               .state = WorkerPod::State::kRunning,
                               .ready = true,
                               .created = "2026-05-01T12:00:00Z"});
  EXPECT_FALSE(ending(others_train));
  EXPECT_FALSE(ending(FailedPods(4, "exit code 1: no data", false)));
  Observed numbers = FailedPods(4, "exit code 1: at learning rate 3996");
  numbers.pods[1].cause = "exit code 1: at learning rate 2997";
  EXPECT_TRUE(ending(numbers));
  Observed two = FailedPods(5, "exit code 1: a");
  two.pods[2].cause = "exit code 1: b";
  EXPECT_FALSE(ending(two));
  const auto many = ending(FailedPods(11, "exit code 1: no data", false));
  ASSERT_TRUE(many);
  EXPECT_EQ(many->message,
            "11 pods failed, maxRestarts is 10; the last: job-0-10, exit code 1: no data");
}

TEST(WorkerPodTest, WhatTheClusterTookIsDisruptedAndNotAFailure) {
  struct Case {
    const char* reason;
    const char* condition;
    const char* condition_status;
    bool disrupted;
  };
  for (const Case& each :
       {Case{"Evicted", "Ready", "False", true}, Case{"Preempting", "Ready", "False", true},
        Case{"NodeLost", "Ready", "False", true}, Case{"NodeShutdown", "Ready", "False", true},
        Case{"Terminated", "Ready", "False", true}, Case{"OutOfcpu", "Ready", "False", true},
        Case{"", "DisruptionTarget", "True", true}, Case{"", "DisruptionTarget", "False", false},
        Case{"DeadlineExceeded", "Ready", "False", false}, Case{"evicted", "Ready", "False", false},
        Case{"", "Ready", "True", false}}) {
    nlohmann::json object = EndedPod("", 137);
    object["status"]["reason"] = each.reason;
    object["status"]["conditions"] = {
        {{"type", each.condition}, {"status", each.condition_status}}};
    TrimWorkerPod(object);
    Observed observed = JobOf(1);
    observed.pods = {*ReadWorkerPod(object, "u")};
    EXPECT_EQ(observed.pods[0].disrupted, each.disrupted) << each.reason << each.condition;
    EXPECT_EQ(JudgeFailures(observed).restarts, each.disrupted ? 0 : 1)
        << each.reason << each.condition;
  }
}

TEST(WorkerPodTest, AnEvictedPodEndedWhenItsConditionsLastChanged) {
  nlohmann::json object = EndedPod("", 137);
  object["status"]["containerStatuses"] = nlohmann::json::array();
  object["status"]["conditions"] = {
      {{"type", "PodScheduled"},
       {"status", "False"},
       {"lastTransitionTime", "2026-05-01T13:00:00Z"}},
      {{"type", "Ready"}, {"status", "False"}, {"lastTransitionTime", "2026-05-01T12:00:00Z"}},
      {{"type", "DisruptionTarget"},
       {"status", "True"},
       {"lastTransitionTime", "2026-05-01T12:00:05Z"}}};
  EXPECT_EQ(ReadWorkerPod(object, "u")->finished, "2026-05-01T12:00:05Z");
  TrimWorkerPod(object);
  EXPECT_EQ(ReadWorkerPod(object, "u")->finished, "2026-05-01T12:00:05Z");
  object["status"]["phase"] = "Running";
  EXPECT_EQ(ReadWorkerPod(object, "u")->finished, "");
  object["status"] = {{"phase", "Failed"}};
  EXPECT_EQ(ReadWorkerPod(object, "u")->finished, "");
}

TEST(WorkerPodTest, ATemplateWithoutAnImageGetsTheOperatorsAndNoOtherIsTouched) {
  api::TrainingJob job;
  const WorkerLaunch launch{.hub_address = "h", .image = "grapevine-worker:1"};
  const auto image = [&](const WorkerLaunch& how) {
    const nlohmann::json pod = MakeWorkerPod(job, {0, 0}, how);
    return pod["spec"]["containers"][0].value("image", "none");
  };
  EXPECT_EQ(image(launch), "grapevine-worker:1");
  EXPECT_EQ(image({.hub_address = "h"}), "none");
  job.spec.workers.pod_template = {
      {"spec", {{"containers", {{{"name", "w"}, {"image", "mine"}}}}}}};
  EXPECT_EQ(image(launch), "mine");
}

TEST(WorkerPodTest, OnAPodNetworkTheMetricsAreAtANamedPort) {
  api::TrainingJob job;
  const WorkerLaunch launch{.hub_address = "h", .image = "i", .pod_network = true};
  const auto worker = [&](const WorkerLaunch& how) {
    return MakeWorkerPod(job, {0, 0}, how)["spec"]["containers"][0];
  };
  const auto address = [&] {
    std::string found = "none";
    const nlohmann::json container = worker(launch);
    for (const nlohmann::json& variable : container["env"]) {
      if (variable["name"] == "GRAPEVINE_METRICS") found = variable["value"];
    }
    return found;
  };
  const nlohmann::json ports = {{{"name", "metrics"}, {"containerPort", 8080}}};
  EXPECT_EQ(address(), "0.0.0.0:8080");
  EXPECT_EQ(worker(launch)["ports"], ports);
  EXPECT_FALSE(worker({.hub_address = "h"}).contains("ports"));
  nlohmann::json& spec = job.spec.workers.pod_template["spec"];
  spec["containers"] = {{{"name", "w"},
                         {"ports", {{{"name", "metrics"}, {"containerPort", 9000}}}},
                         {"env", {{{"name", "GRAPEVINE_LISTEN"}, {"value", "0.0.0.0:1"}}}}}};
  EXPECT_EQ(address(), "0.0.0.0:9000");
  EXPECT_EQ(worker(launch)["ports"], spec["containers"][0]["ports"]);
  spec["containers"][0]["env"] = {{{"name", "GRAPEVINE_METRICS"}, {"value", "0.0.0.0:1"}}};
  EXPECT_EQ(address(), "0.0.0.0:1");  // of two with one name the later stands
  spec = {{"hostNetwork", true}};
  EXPECT_EQ(address(), "none");
  EXPECT_FALSE(worker(launch).contains("ports"));
}

TEST(WorkerPodTest, TheOperatorsImageHasNoRightsUnlessTheTemplateSpeaksOfThem) {
  api::TrainingJob job;
  const WorkerLaunch launch{.hub_address = "h", .image = "i", .pod_network = true};
  const auto security = [&](const WorkerLaunch& how) {
    return MakeWorkerPod(job, {0, 0}, how)["spec"]["containers"][0].value("securityContext",
                                                                          nlohmann::json());
  };
  EXPECT_EQ(security(launch)["runAsNonRoot"], true);
  EXPECT_EQ(security(launch)["capabilities"]["drop"][0], "ALL");
  EXPECT_TRUE(security({.hub_address = "h", .image = "i"}).is_null());
  nlohmann::json& spec = job.spec.workers.pod_template["spec"];
  spec["containers"] = {{{"name", "w"}, {"image", "mine"}}};
  EXPECT_TRUE(security(launch).is_null());
  const nlohmann::json own = {{"runAsUser", 0}};
  spec["containers"] = {{{"name", "w"}, {"securityContext", own}}};
  EXPECT_EQ(security(launch), own);
  spec = {{"securityContext", own}};
  EXPECT_TRUE(security(launch).is_null());
}

TEST(JobStatus, OnlySucceededAndFailedAreFinal) {
  api::TrainingJobStatus status;
  EXPECT_FALSE(IsOver(status));
  for (const char* type : {api::kRunning, api::kSuspended, api::kDegraded}) {
    status.conditions = {{.type = type, .status = "True"}};
    EXPECT_FALSE(IsOver(status)) << type;
  }
  for (const char* type : {api::kSucceeded, api::kFailed}) {
    status.conditions = {{.type = type, .status = "False"}};
    EXPECT_FALSE(IsOver(status)) << type;
    status.conditions = {{.type = type, .status = "True"}};
    EXPECT_TRUE(IsOver(status)) << type;
  }
}

TEST(JobStatus, ALossThatIsNoNumberIsLeftOut) {
  Observed observed = JobOf(1);
  observed.hub.final_result = {.loss = std::nan(""), .accuracy = 0.1, .checkpoint = "/c"};
  Decision decision;
  FillStatus(observed, {}, decision);
  ASSERT_TRUE(decision.status.result);
  EXPECT_FALSE(decision.status.result->loss);
  EXPECT_EQ(decision.status.result->accuracy, 0.1);
}

TEST(JobStatus, ProgressDoesNotGoBackWhileMembersReturnToANewLeader) {
  Observed observed = JobOf(2);
  observed.job.status.progress.samples = 900;
  observed.hub.known = true;
  observed.hub.samples_total = 1000;
  observed.hub.samples = 700;
  const auto samples = [&](bool returning) {
    Decision decision{.status = observed.job.status};
    FillStatus(observed, {.returning = returning}, decision);
    return decision.status.progress.samples;
  };
  EXPECT_EQ(samples(true), 900);
  EXPECT_EQ(samples(false), 700);  // begun again from a checkpoint
  observed.hub.samples = 950;
  EXPECT_EQ(samples(true), 950);
}

TEST(ReadWorkerPod, PassesOverPodsOfOthersAndWithoutLabels) {
  nlohmann::json pod = {{"metadata",
                         {{"name", "job-2-1"},
                          {"uid", "p"},
                          {"labels", {{api::kSlotLabel, "2"}, {api::kIncarnationLabel, "1"}}},
                          {"ownerReferences", {{{"uid", "u"}, {"controller", true}}}}}},
                        {"status", {{"phase", "Running"}}}};
  const auto found = ReadWorkerPod(pod, "u");
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->slot, 2);
  EXPECT_EQ(found->incarnation, 1);
  EXPECT_EQ(found->state, WorkerPod::State::kRunning);
  EXPECT_FALSE(ReadWorkerPod(pod, "other").has_value());
  pod["metadata"]["labels"][api::kSlotLabel] = "two";
  EXPECT_FALSE(ReadWorkerPod(pod, "u").has_value());
}

}  // namespace
}  // namespace grapevine::training_job
