#include "operator/training_job/lost_nodes.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/training_job/decide.h"
#include "operator/training_job/worker_pod.h"

namespace grapevine::training_job {
namespace {

using nlohmann::json;
using Loss = WorkerPod::Loss;
using std::chrono::seconds;

const api::WallTime kNow = *api::ParseWallTime("2026-05-01T12:10:00Z");

json Node(const char* ready, const json& taints) {
  return {{"metadata", {{"name", "n"}, {"uid", "u"}, {"labels", {{"zone", "a"}}}}},
          {"spec", {{"podCIDR", "10.0.0.0/24"}, {"taints", taints}}},
          {"status",
           {{"images", {"large"}},
            {"conditions",
             {{{"type", "MemoryPressure"}, {"status", "False"}},
              {{"type", "Ready"},
               {"status", ready},
               {"lastHeartbeatTime", "2026-05-01T12:09:59Z"},
               {"lastTransitionTime", "2026-05-01T12:09:50Z"}}}}}}};
}

json Taint(const char* key, const char* added = "2026-05-01T12:09:50Z",
           const char* effect = "NoExecute") {
  json taint = {{"key", key}, {"effect", effect}};
  if (added != nullptr) taint["timeAdded"] = added;
  return taint;
}

WorkerPod PodOn(const std::string& node, NodePatience patience = {seconds(30), seconds(30)}) {
  return {.name = "job-0-0",
          .uid = "p",
          .state = WorkerPod::State::kRunning,
          .assigned = true,
          .ready = true,
          .node = node,
          .patience = patience};
}

WorkerPod Judged(const absl::StatusOr<json>& node, WorkerPod pod) {
  std::vector<WorkerPod> pods = {std::move(pod)};
  JudgeNodes(pods, kNow, [&](const std::string&) { return node; });
  return pods[0];
}

TEST(LostNodes, ANodeIsLostWhenItIsGoneOrLongerAwayThanThePodTolerates) {
  struct Case {
    absl::StatusOr<json> node;
    Loss loss;
    std::optional<Duration> lost_in;
  };
  const std::vector<Case> cases = {
      {Node("True", json::array()), Loss::kNone, {}},
      {Node("Unknown", json::array()), Loss::kNone, {}},
      {Node("True", json::array({Taint(kUnreachableTaint, "2026-05-01T12:00:00Z")})),
       Loss::kNone,
       {}},
      {Node("Unknown", json::array({Taint(kUnreachableTaint)})), Loss::kNone, 20s},
      {Node("Unknown", json::array({Taint(kUnreachableTaint, nullptr)})), Loss::kNone, 20s},
      {Node("Unknown", json::array({Taint(kUnreachableTaint, "2026-05-01T12:09:30Z")})),
       Loss::kUnreachable,
       {}},
      {Node("False", json::array({Taint(kNotReadyTaint, "2026-05-01T12:09:00Z")})),
       Loss::kUnreachable,
       {}},
      {Node("False", json::array({Taint(kNotReadyTaint, "2026-05-01T12:09:00Z", "NoSchedule")})),
       Loss::kNone,
       {}},
      {Node("False", json::array({Taint("example.com/other")})), Loss::kNone, {}},
      {Node("True", json::array({Taint(kOutOfServiceTaint)})), Loss::kGone, {}},
      {json(7), Loss::kNone, {}},
      {absl::NotFoundError("no node"), Loss::kGone, {}},
      {absl::PermissionDeniedError("may not"), Loss::kNone, {}},
      {absl::UnavailableError("away"), Loss::kNone, {}}};
  for (const Case& each : cases) {
    const std::string what =
        each.node.ok() ? each.node->dump() : std::string(each.node.status().message());
    const WorkerPod pod = Judged(each.node, PodOn("n"));
    EXPECT_EQ(pod.loss, each.loss) << what;
    EXPECT_EQ(pod.lost_in, each.lost_in) << what;
    EXPECT_EQ(pod.disrupted, each.loss != Loss::kNone) << what;
    EXPECT_EQ(pod.active(), each.loss == Loss::kNone) << what;
    if (!each.node.ok()) continue;
    json trimmed = *each.node;
    TrimNode(trimmed);
    EXPECT_EQ(Judged(trimmed, PodOn("n")).loss, each.loss) << trimmed;
    EXPECT_EQ(Judged(trimmed, PodOn("n")).lost_in, each.lost_in) << trimmed;
  }
  const auto long_away =
      Node("Unknown", json::array({Taint(kUnreachableTaint, "2026-05-01T00:00:00Z")}));
  EXPECT_EQ(Judged(long_away, PodOn("n", {{}, {}})).loss, Loss::kNone) << "it tolerates that";
}

TEST(LostNodes, OnlyPodsThatAreOnANodeAndHaveNotEndedAreJudgedAndEachNodeOnce) {
  std::vector<WorkerPod> pods = {PodOn(""), PodOn("a"), PodOn("a"), PodOn("b"), PodOn("c")};
  pods[3].state = WorkerPod::State::kFailed;
  pods[4].state = WorkerPod::State::kTerminating;
  std::vector<std::string> asked;
  JudgeNodes(pods, kNow, [&](const std::string& name) -> absl::StatusOr<json> {
    asked.push_back(name);
    return absl::NotFoundError("");
  });
  EXPECT_THAT(asked, ::testing::ElementsAre("a"));
  EXPECT_EQ(pods[0].loss, Loss::kNone);
  EXPECT_EQ(pods[1].loss, Loss::kGone);
  EXPECT_EQ(pods[2].loss, Loss::kGone);
  EXPECT_EQ(pods[3].loss, Loss::kNone);
}

TEST(LostNodes, AHeartbeatIsNoChange) {
  const auto object = [](const json& node) { return std::make_shared<const json>(node); };
  const auto well = object(Node("True", json::array()));
  json later = *well;
  later["metadata"]["resourceVersion"] = "9";
  later["status"]["conditions"][1]["lastHeartbeatTime"] = "2026-05-01T13:00:00Z";
  const auto away = object(Node("Unknown", json::array({Taint(kUnreachableTaint)})));
  EXPECT_FALSE(NodeFaresOtherwise({well, object(later)}));
  EXPECT_FALSE(NodeFaresOtherwise({nullptr, well}));
  EXPECT_TRUE(NodeFaresOtherwise({nullptr, away}));
  EXPECT_TRUE(NodeFaresOtherwise({well, away}));
  EXPECT_TRUE(NodeFaresOtherwise({away, well}));
  EXPECT_TRUE(NodeFaresOtherwise({well, nullptr}));
}

Observed JobWith(std::vector<WorkerPod> pods) {
  Observed observed;
  observed.job.metadata.name = "job";
  observed.job.metadata.uid = "u";
  observed.job.spec.workers.replicas = static_cast<int32_t>(pods.size());
  observed.hub.graph = std::make_shared<const graph::Graph>();
  observed.now = Time(1000s);
  observed.wall = kNow;
  observed.pods = std::move(pods);
  return observed;
}

TEST(LostNodes, ALostPodIsDeletedReplacedAtOnceAndNoFailure) {
  for (const Loss loss : {Loss::kUnreachable, Loss::kGone}) {
    Observed observed = JobWith({PodOn("a")});
    observed.pods[0].loss = loss;
    observed.pods[0].disrupted = true;
    observed.disrupted = 1;
    const Decision decision = Decide(observed);
    ASSERT_EQ(decision.remove.size(), 1u);
    EXPECT_EQ(decision.remove[0].name, "job-0-0");
    EXPECT_EQ(decision.remove[0].at_once, loss == Loss::kGone) << "else its kubelet may come back";
    ASSERT_EQ(decision.create.size(), 1u);
    EXPECT_EQ(decision.create[0].incarnation, 1);
    EXPECT_EQ(decision.status.workers.restarts, 0);
    EXPECT_EQ(decision.status.workers.disrupted, 1);
    EXPECT_EQ(decision.status.workers.active, 0);
  }
}

TEST(LostNodes, APodThatIsBeingDeletedOnADeadNodeIsNotWaitedFor) {
  Observed observed = JobWith({PodOn("a")});
  observed.pods[0].state = WorkerPod::State::kTerminating;
  const Decision decision = Decide(observed);
  EXPECT_THAT(decision.remove, ::testing::IsEmpty());
  EXPECT_EQ(decision.create.size(), 1u);
}

TEST(LostNodes, ANodeThatIsAwayIsLookedAtAgainWhenItsTimeIsUp) {
  Observed observed = JobWith({PodOn("a")});
  observed.pods[0].lost_in = 7s;
  const Decision decision = Decide(observed);
  EXPECT_THAT(decision.remove, ::testing::IsEmpty());
  ASSERT_TRUE(decision.requeue_after);
  EXPECT_LE(*decision.requeue_after, 7s);
}

TEST(LostNodes, AJobThatIsOverDeletesItsLostPodsToo) {
  Observed observed = JobWith({PodOn("a")});
  observed.pods[0].loss = Loss::kGone;
  observed.job.status.conditions = {{.type = api::kSucceeded, .status = "True"}};
  const Decision decision = Decide(observed);
  ASSERT_EQ(decision.remove.size(), 1u);
  EXPECT_TRUE(decision.remove[0].at_once);
  EXPECT_THAT(decision.create, ::testing::IsEmpty());
}

TEST(LostNodes, OnAClusterWorkersHaveShortTolerations) {
  api::TrainingJob job;
  const json pod = MakeWorkerPod(job, {0, 0}, {.hub_address = "h", .pod_network = true});
  EXPECT_EQ(ReadPatience(pod["spec"]), (NodePatience{kNodePatience, kNodePatience}));
  EXPECT_FALSE(MakeWorkerPod(job, {0, 0}, {.hub_address = "h"})["spec"].contains("tolerations"));
}

}  // namespace
}  // namespace grapevine::training_job
