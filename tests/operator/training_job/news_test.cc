#include "operator/training_job/news.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/training_job/hindrances.h"

namespace grapevine::training_job {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::vector<std::string> Told(News& news) {
  std::vector<std::string> told;
  for (const JobEvent& event : news.Take()) {
    told.push_back((event.warning ? "! " : "") + event.reason + ": " + event.note);
  }
  return told;
}

Observed Job(const std::vector<MemberId>& members = {}) {
  Observed observed;
  observed.hub.graph = std::make_shared<const graph::Graph>();
  for (const MemberId id : members) {
    topology::RegistrantView& view = observed.hub.registrants.emplace_back();
    view.rules.id = id;
    view.rules.pod = "job-" + std::to_string(id) + "-0";
  }
  return observed;
}

graph::Graph Complete(std::vector<MemberId> ids) {
  std::vector<graph::Member> members;
  for (size_t i = 0; i < ids.size(); ++i) {
    members.push_back({ids[i], i % 2 == 0 ? graph::Side::kActive : graph::Side::kPassive});
  }
  return *graph::Graph::MakeComplete(members);
}

TEST(News, WhoJoinsAndWhoLeavesIsToldTogether) {
  News news;
  Observed observed = Job({1, 2, 3, 4, 5});
  Decision decision;
  decision.directives.publish = topology::Publication{.graph = Complete({1, 2, 3, 4, 5})};
  news.Note(observed, decision);
  EXPECT_THAT(Told(news),
              ElementsAre("MemberJoined: job-1-0, job-2-0, job-3-0 and 2 more joined: 5 now"));
  observed.hub.graph = std::make_shared<const graph::Graph>(Complete({1, 2, 3, 4, 5}));
  decision.directives.publish =
      topology::Publication{.graph = Complete({1, 5}),
                            .removed = {{2, "its stream is broken"},
                                        {3, "its pod job-3-0 is being deleted"},
                                        {4, "its pod job-4-0 is being deleted"}}};
  news.Note(observed, decision);
  EXPECT_THAT(Told(news),
              ElementsAre("MemberLeft: job-3-0 and job-4-0 left, its pod is being deleted: 2 now",
                          "MemberLeft: job-2-0 left, its stream is broken: 2 now"));
  news.Note(observed, Decision());
  EXPECT_THAT(Told(news), IsEmpty());
}

TEST(News, APodThatWaitsIsAWarningOnceForEachReason) {
  News news;
  Observed observed = Job();
  const auto pod = [](int slot, const char* reason) {
    return WorkerPod{.name = "job-" + std::to_string(slot) + "-0",
                     .uid = "u" + std::to_string(slot),
                     .slot = slot,
                     .hindrance = {reason, "why"}};
  };
  observed.pods = {pod(0, "ImagePullBackOff"), pod(1, "ImagePullBackOff"), pod(2, ""),
                   pod(3, kSchedulingGated)};
  for (int i = 0; i < 3; ++i) news.Note(observed, Decision());
  EXPECT_THAT(Told(news), ElementsAre("! PodWaiting: job-0-0 and job-1-0: ImagePullBackOff: why"));
  observed.pods[2] = pod(2, "Unschedulable");
  news.Note(observed, Decision());
  EXPECT_THAT(Told(news), ElementsAre("! PodWaiting: job-2-0: Unschedulable: why"));
}

TEST(News, OrphansAreToldOnce) {
  News news;
  Observed observed = Job();
  observed.orphans.adopted = {"job-0-0"};
  observed.orphans.refused = {{"job-1-0", "u1", "not its uid"}};
  news.Note(observed, Decision());
  EXPECT_THAT(Told(news),
              ElementsAre("PodAdopted: of no owner, the job's again: job-0-0",
                          "! PodNotAdopted: job-1-0 has the job's label, but not its uid"));
  observed.orphans.adopted.clear();
  news.Note(observed, Decision());
  EXPECT_THAT(Told(news), IsEmpty());
}

TEST(News, CheckpointsAreToldInTheSameWordsAndNotThoseOfBefore) {
  News news;
  Observed observed = Job();
  observed.hub.checkpoint = "/c/uid/samples-100.safetensors";
  observed.hub.checkpointed_at = Time(10s);
  news.Note(observed, Decision());
  EXPECT_THAT(Told(news), IsEmpty()) << "it was written before this one looked";
  observed.hub.checkpointed_at = Time(20s);
  for (int i = 0; i < 2; ++i) news.Note(observed, Decision());
  EXPECT_THAT(Told(news), ElementsAre("CheckpointWritten: a checkpoint was written to /c/uid"));
}

TEST(News, BeginningAgainFromTheSeedIsAWarningOnceThereWasSomethingToLose) {
  News news;
  Observed observed = Job();
  Decision decision;
  decision.directives.start = membership::Start::kSeed;
  news.Note(observed, decision);
  EXPECT_THAT(Told(news), IsEmpty()) << "its first start";
  observed.hub.samples = 320;
  news.Note(observed, decision);
  EXPECT_THAT(
      Told(news),
      ElementsAre("! StartedAnew: nobody has the model and there is no checkpoint: training "
                  "begins again from the seed"));
}

TEST(News, ResumingLoadingAndFinishingAreTold) {
  News news;
  Observed observed = Job();
  observed.job.status.conditions = {{.type = api::kSuspended, .status = "True"}};
  Decision decision;
  decision.directives.start = membership::Start::kCheckpoint;
  decision.directives.start_checkpoint = "/c/uid/a";
  decision.directives.finish = true;
  news.Note(observed, decision);
  EXPECT_THAT(Told(news),
              ElementsAre("Resumed: the job is no longer suspended: its pods are made again",
                          "CheckpointLoaded: training goes on from /c/uid/a",
                          "Finishing: no more batches are given out; the models meet, and one is "
                          "kept"));
}

TEST(News, PodsAreToldTogetherAndByReason) {
  News news;
  news.NoteCreated({});
  news.NoteDeleted({});
  EXPECT_THAT(Told(news), IsEmpty());
  news.NoteCreated({"a"});
  news.NoteCreated({"a", "b", "c", "d"});
  news.NoteDeleted({{.name = "a", .reason = "2 wanted"},
                    {.name = "b", .reason = "its node n is gone"},
                    {.name = "c", .reason = "2 wanted"}});
  EXPECT_THAT(Told(news), ElementsAre("PodsCreated: 1 pod created: a",
                                      "PodsCreated: 4 pods created: a, b, c and 1 more",
                                      "PodsDeleted: a and c deleted: 2 wanted",
                                      "PodsDeleted: b deleted: its node n is gone"));
}

TEST(News, WhatCannotBeSaidIsBounded) {
  News news;
  for (int i = 0; i < 1000; ++i) news.NoteCreated({"a"});
  EXPECT_THAT(news.Take(), SizeIs(News::kMostUntold));
}

}  // namespace
}  // namespace grapevine::training_job
