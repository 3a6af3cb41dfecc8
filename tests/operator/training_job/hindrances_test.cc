#include "operator/training_job/hindrances.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/api/labels.h"
#include "operator/controller/api_error.h"
#include "operator/training_job/creation_pause.h"
#include "operator/training_job/decide.h"

namespace grapevine::training_job {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

WorkerPod Read(const std::string& status, const char* phase = "Pending") {
  nlohmann::json pod = {{"metadata",
                         {{"name", "job-0-0"},
                          {"uid", "p"},
                          {"labels", {{api::kSlotLabel, "0"}, {api::kIncarnationLabel, "0"}}},
                          {"ownerReferences", {{{"uid", "u"}, {"controller", true}}}}}},
                        {"status", nlohmann::json::parse(status)}};
  pod["status"]["phase"] = phase;
  const Hindrance untrimmed = ReadWorkerPod(pod, "u")->hindrance;
  TrimWorkerPod(pod);
  WorkerPod read = *ReadWorkerPod(pod, "u");
  EXPECT_EQ(read.hindrance, untrimmed) << status;
  return read;
}

TEST(Hindrances, AreWhatTheSchedulerAndTheKubeletSay) {
  struct Case {
    const char* status;
    const char* reason;
    const char* message;
  };
  for (const Case& each :
       {Case{"{}", "", ""},
        Case{R"({"containerStatuses":[{"state":{"waiting":{"reason":"ContainerCreating"}}}]})", "",
             ""},
        Case{R"({"initContainerStatuses":[{"state":{"waiting":{"reason":"CreateContainerError",
                 "message":"no such file"}}}],
                 "containerStatuses":[{"state":{"waiting":{"reason":"PodInitializing"}}}]})",
             "CreateContainerError", "no such file"},
        Case{R"({"containerStatuses":[{"state":{"running":{}}},
                 {"state":{"waiting":{"reason":"ErrImagePull","message":"not found"}}}]})",
             "ImagePullBackOff", "not found"},
        Case{R"({"containerStatuses":[{"state":{"waiting":{"reason":"InvalidImageName"}}}]})",
             "InvalidImageName", ""},
        Case{R"({"conditions":[{"type":"PodScheduled","status":"False","reason":"Unschedulable",
                 "message":"0/3 nodes are available"}]})",
             "Unschedulable", "0/3 nodes are available"},
        Case{R"({"conditions":[{"type":"PodScheduled","status":"False",
                 "reason":"SchedulingGated"}]})",
             "SchedulingGated", ""},
        Case{R"({"conditions":[{"type":"PodScheduled","status":"True","reason":"x"}]})", "", ""},
        Case{R"({"conditions":[7], "containerStatuses":[7, {"state":7}, {"state":{"waiting":7}}]})",
             "", ""}}) {
    const WorkerPod pod = Read(each.status);
    EXPECT_EQ(pod.hindrance.reason, each.reason) << each.status;
    EXPECT_EQ(pod.hindrance.message, each.message) << each.status;
    EXPECT_TRUE(pod.active()) << "it counts as pending";
  }
  const char* const kWaits =
      R"({"containerStatuses":[{"state":{"waiting":{"reason":"ErrImagePull"}}}]})";
  EXPECT_EQ(Read(kWaits, "Running").hindrance.reason, "");
}

TEST(Hindrances, ALongMessageIsCutBetweenCharacters) {
  std::string words = "x";
  for (int i = 0; i < 300; ++i) words += "ä";
  const WorkerPod pod = Read(
      R"({"containerStatuses":[{"state":{"waiting":{"reason":"CreateContainerError","message":")" +
      words + R"("}}}]})");
  EXPECT_THAT(pod.hindrance.message, EndsWith("ä..."));
  EXPECT_LE(pod.hindrance.message.size(), 300u);
}

Observed Waiting(std::vector<std::string> reasons) {
  Observed observed;
  observed.job.metadata.name = "job";
  observed.job.metadata.generation = 1;
  observed.job.spec.workers.replicas = static_cast<int32_t>(reasons.size());
  observed.hub.graph = std::make_shared<const graph::Graph>();
  observed.now = Time(1000s);
  for (size_t i = 0; i < reasons.size(); ++i) {
    observed.pods.push_back({.name = "job-" + std::to_string(i) + "-0",
                             .uid = "u" + std::to_string(i),
                             .slot = static_cast<int32_t>(i),
                             .hindrance = {.reason = reasons[i], .message = "why"}});
  }
  return observed;
}

TEST(Hindrances, AreToldInOneLine) {
  EXPECT_EQ(DescribeHindrances(Waiting({"", ""})), "");
  EXPECT_EQ(DescribeHindrances(Waiting({"", "Unschedulable"})), "pod job-1-0 waits: Unschedulable");
  Observed observed = Waiting({"A", "B", "", "A"});
  EXPECT_EQ(DescribeHindrances(observed), "pod job-0-0 waits: A, and 2 more");
  observed.refusal = {.reason = "QuotaExceeded", .message = "exceeded quota", .left = 3s};
  EXPECT_EQ(DescribeHindrances(observed),
            "pod job-0-0 waits: A, and 2 more; pods are refused: exceeded quota");
  observed.pods.clear();
  EXPECT_EQ(DescribeHindrances(observed), "pods are refused: exceeded quota");
}

TEST(Hindrances, StandInTheConditionsOfTheJob) {
  const Decision decision = Decide(Waiting({"ImagePullBackOff"}));
  const api::Condition* running = api::FindCondition(decision.status.conditions, api::kRunning);
  ASSERT_NE(running, nullptr);
  EXPECT_EQ(running->message, "0 members, 1 needed; pod job-0-0 waits: ImagePullBackOff");
}

TEST(CreationPause, HoldsAfterRefusalsAloneAndUntilTheSpecChanges) {
  const auto with = [](int http_status) {
    return controller::ToStatus({.http_status = http_status, .message = "no"});
  };
  struct Case {
    absl::Status status;
    const char* reason;  // null: no pause
  };
  for (const Case& each :
       {Case{absl::OkStatus(), nullptr}, Case{absl::UnavailableError("away"), nullptr},
        Case{with(429), nullptr}, Case{with(409), nullptr}, Case{with(422), "PodRefused"},
        Case{with(403), "PodRefused"}, Case{absl::FailedPreconditionError("x"), "PodRefused"},
        Case{controller::ToStatus({.http_status = 403, .message = "exceeded quota: q"}),
             "QuotaExceeded"}}) {
    CreationPause pause;
    EXPECT_EQ(pause.Begin(each.status, 1, Time(100s)), each.reason != nullptr) << each.status;
    const auto refusal = pause.At(1, Time(110s));
    ASSERT_EQ(refusal.has_value(), each.reason != nullptr) << each.status;
    if (!refusal) continue;
    EXPECT_EQ(refusal->reason, each.reason);
    EXPECT_EQ(refusal->left, kRefusedPause - 10s);
    EXPECT_FALSE(pause.At(2, Time(110s))) << "somebody mended the spec";
    EXPECT_FALSE(pause.At(1, Time(100s) + kRefusedPause));
  }
}

TEST(CreationPause, MakesNoPodHoweverOftenTheJobIsLookedAt) {
  Observed observed = Waiting({});
  observed.job.spec.workers.replicas = 3;
  EXPECT_THAT(Decide(observed).create, SizeIs(3));
  observed.refusal = {.reason = "PodRefused", .message = "violates PodSecurity", .left = 21s};
  const Decision decision = Decide(observed);
  EXPECT_THAT(decision.create, IsEmpty());
  ASSERT_TRUE(decision.requeue_after);
  EXPECT_LE(*decision.requeue_after, 21s);
  EXPECT_THAT(api::FindCondition(decision.status.conditions, api::kRunning)->message,
              AllOf(HasSubstr("0 members"), HasSubstr("pods are refused: violates PodSecurity")));
}

}  // namespace
}  // namespace grapevine::training_job
