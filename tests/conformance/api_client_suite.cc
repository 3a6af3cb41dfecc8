#include "tests/conformance/api_client_suite.h"

#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/api/labels.h"
#include "operator/controller/api_client.h"

namespace grapevine::conformance {
namespace {

using controller::Resource;
using controller::ResourceVersionOf;
using controller::UidOf;
using controller::WatchOptions;
using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

const Resource kJobs{api::kGroup, api::kVersion, api::kTrainingJobPlural};
const Resource kPods{"", "v1", "pods"};

std::vector<std::string> NamesIn(const json& list) {
  std::vector<std::string> names;
  for (const json& item : list.at("items")) names.push_back(controller::KeyOf(item).name);
  return names;
}

#define ASSERT_CODE(expression, expected) ASSERT_EQ((expression).code(), absl::StatusCode::expected)

TEST_P(ApiClientSuite, CreateGivesAnIdentityAndGetReturnsIt) {
  const auto created = client_.Create(kJobs, Job("a"));
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_FALSE(UidOf(*created).empty());
  EXPECT_FALSE(ResourceVersionOf(*created).empty());
  EXPECT_EQ((*created)["metadata"]["generation"], 1);
  EXPECT_TRUE((*created)["metadata"]["creationTimestamp"].is_string());
  const auto read = client_.Get(kJobs, ns_, "a");
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(*read, *created);
}

TEST_P(ApiClientSuite, WhatIsNotThereIsNotFound) {
  ASSERT_CODE(client_.Get(kJobs, ns_, "a").status(), kNotFound);
  ASSERT_CODE(client_.Delete(kJobs, ns_, "a", {}), kNotFound);
  json unborn = Job("a");
  unborn["metadata"]["resourceVersion"] = "1";
  ASSERT_CODE(client_.Update(kJobs, unborn).status(), kNotFound);
  ASSERT_TRUE(client_.Create(kJobs, Job("a")).ok());
  ASSERT_CODE(client_.Get(kPods, ns_, "a").status(), kNotFound);
}

TEST_P(ApiClientSuite, ASecondCreateIsRefusedAndChangesNothing) {
  const auto created = client_.Create(kJobs, Job("a"));
  ASSERT_CODE(client_.Create(kJobs, Job("a")).status(), kAlreadyExists);
  EXPECT_EQ(*client_.Get(kJobs, ns_, "a"), *created);
}

TEST_P(ApiClientSuite, CreateWithoutANameIsInvalid) {
  json nameless = Job("a");
  nameless["metadata"].erase("name");
  ASSERT_CODE(client_.Create(kJobs, nameless).status(), kInvalidArgument);
}

TEST_P(ApiClientSuite, OfTwoWritesOfOneVersionTheSecondIsAConflict) {
  json first = *client_.Create(kJobs, Job("a"));
  json second = first;
  first["spec"]["suspend"] = true;
  second["spec"]["suspend"] = false;
  const auto updated = client_.Update(kJobs, first);
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_NE(ResourceVersionOf(*updated), ResourceVersionOf(first));
  ASSERT_CODE(client_.Update(kJobs, second).status(), kAborted);
  ASSERT_CODE(client_.UpdateStatus(kJobs, second).status(), kAborted);
  EXPECT_EQ((*client_.Get(kJobs, ns_, "a"))["spec"]["suspend"], true);
}

TEST_P(ApiClientSuite, SpecAndStatusAreWrittenApart) {
  json job = Job("a");
  job["status"] = {{"observedGeneration", 9}};
  job = *client_.Create(kJobs, job);
  EXPECT_FALSE(job.contains("status"));

  job["status"] = {{"observedGeneration", 1}};
  job["spec"]["suspend"] = true;
  job = *client_.UpdateStatus(kJobs, job);
  EXPECT_EQ(job["status"]["observedGeneration"], 1);
  EXPECT_NE(job["spec"].value("suspend", false), true);
  EXPECT_EQ(job["metadata"]["generation"], 1);

  job["status"] = {{"observedGeneration", 5}};
  job["spec"]["suspend"] = true;
  job = *client_.Update(kJobs, job);
  EXPECT_EQ(job["status"]["observedGeneration"], 1);
  EXPECT_EQ(job["spec"]["suspend"], true);
  EXPECT_EQ(job["metadata"]["generation"], 2);
}

TEST_P(ApiClientSuite, WhatHasNoNamespaceIsFoundWithoutOne) {
  const Resource nodes{"", "v1", "nodes", /*cluster_wide=*/true};
  const auto created = client_.Create(
      nodes, {{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", {{"name", "a"}}}});
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_FALSE((*created)["metadata"].contains("namespace"));
  json node = *client_.Get(nodes, "", "a");
  node["metadata"]["labels"]["tier"] = "x";
  ASSERT_CODE(client_.Update(nodes, node).status(), kOk);
  node = *client_.Get(nodes, "", "a");
  node["status"]["phase"] = "Running";
  ASSERT_CODE(client_.UpdateStatus(nodes, node).status(), kOk);
  EXPECT_THAT(NamesIn(*client_.List(nodes, "", {})), ElementsAre("a"));
  ASSERT_CODE(client_.Delete(nodes, "", "a", {}), kOk);
}

TEST_P(ApiClientSuite, APodGetsItsNodeByABindingAndOnce) {
  const json pod = *client_.Create(kPods, Pod("a"));
  json binding = {{"apiVersion", "v1"},
                  {"kind", "Binding"},
                  {"metadata", {{"name", "a"}, {"namespace", ns_}, {"uid", "another"}}},
                  {"target", {{"apiVersion", "v1"}, {"kind", "Node"}, {"name", "n1"}}}};
  const Resource bindings{"", "v1", "pods/a/binding"};
  ASSERT_CODE(client_.Create(bindings, binding).status(), kAborted);
  binding["metadata"]["uid"] = UidOf(pod);
  ASSERT_CODE(client_.Create(bindings, binding).status(), kOk);
  EXPECT_EQ((*client_.Get(kPods, ns_, "a"))["spec"]["nodeName"], "n1");
  binding["target"]["name"] = "n2";
  ASSERT_CODE(client_.Create(bindings, binding).status(), kAborted);
  EXPECT_EQ((*client_.Get(kPods, ns_, "a"))["spec"]["nodeName"], "n1");
  binding["metadata"]["name"] = "b";
  ASSERT_CODE(client_.Create({"", "v1", "pods/b/binding"}, binding).status(), kNotFound);
}

TEST_P(ApiClientSuite, LabelsAreNoNewGeneration) {
  json job = *client_.Create(kJobs, Job("a"));
  job["metadata"]["labels"]["tier"] = "x";
  job["metadata"]["generation"] = 77;
  job["metadata"]["creationTimestamp"] = "2001-01-01T00:00:00Z";
  const json updated = *client_.Update(kJobs, job);
  EXPECT_EQ(updated["metadata"]["generation"], 1);
  EXPECT_EQ(updated["metadata"]["labels"]["tier"], "x");
  EXPECT_NE(updated["metadata"]["creationTimestamp"], "2001-01-01T00:00:00Z");
}

TEST_P(ApiClientSuite, AWriteThatChangesNothingIsNoChange) {
  const json job = *client_.Create(kJobs, Job("a"));
  EXPECT_EQ(ResourceVersionOf(*client_.Update(kJobs, job)), ResourceVersionOf(job));
}

TEST_P(ApiClientSuite, ListSelectsByLabelAndNamespace) {
  for (const auto& [name, tier] :
       {std::pair("a", ns_ + "-x"), std::pair("b", ns_ + "-y"), std::pair("c", ns_ + "-x")}) {
    ASSERT_TRUE(client_.Create(kJobs, Job(name, {{"tier", tier}})).ok());
  }
  ASSERT_TRUE(client_.Create(kJobs, Job("d")).ok());
  EXPECT_THAT(NamesIn(*client_.List(kJobs, ns_, {})), ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(NamesIn(*client_.List(kJobs, "", {.selector = "tier=" + ns_ + "-x"})),
              ElementsAre("a", "c"));
  EXPECT_THAT(NamesIn(*client_.List(kJobs, ns_, {.selector = "tier!=" + ns_ + "-x"})),
              ElementsAre("b", "d"));
  EXPECT_THAT(NamesIn(*client_.List(kJobs, ns_, {.selector = "!tier"})), ElementsAre("d"));
  EXPECT_THAT(NamesIn(*client_.List(kJobs, "other", {})), IsEmpty());
}

TEST_P(ApiClientSuite, AListIsTrimmedAsItIsRead) {
  ASSERT_TRUE(client_.Create(kJobs, Job("a")).ok());
  const auto list = client_.List(kJobs, ns_, {.trim = [](json& item) { item.erase("spec"); }});
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_THAT(NamesIn(*list), ElementsAre("a"));
  EXPECT_FALSE((*list)["items"][0].contains("spec"));
  EXPECT_TRUE((*client_.Get(kJobs, ns_, "a")).contains("spec"));
}

TEST_P(ApiClientSuite, APatchChangesWhatItNamesAndTakesAwayWhatItNulls) {
  ASSERT_TRUE(client_.Create(kJobs, Job("a", {{"keep", "1"}, {"drop", "1"}})).ok());
  const auto patched = client_.Patch(kJobs, ns_, "a",
                                     {{"metadata", {{"labels", {{"drop", nullptr}, {"new", "2"}}}}},
                                      {"spec", {{"suspend", true}}}});
  ASSERT_TRUE(patched.ok()) << patched.status();
  EXPECT_EQ((*patched)["metadata"]["labels"], json({{"keep", "1"}, {"new", "2"}}));
  EXPECT_EQ((*patched)["spec"]["suspend"], true);
  EXPECT_EQ(*client_.Get(kJobs, ns_, "a"), *patched);
  ASSERT_CODE(client_.Patch(kJobs, ns_, "b", {}).status(), kNotFound);
}

TEST_P(ApiClientSuite, APatchHoldsToTheUidAndTheVersionInIt) {
  ASSERT_TRUE(client_.Create(kJobs, Job("a")).ok());
  for (const char* key : {"uid", "resourceVersion"}) {
    const json job = *client_.Get(kJobs, ns_, "a");
    json metadata = {{"labels", {{"tier", key}}}};
    metadata[key] = "1";
    ASSERT_CODE(client_.Patch(kJobs, ns_, "a", {{"metadata", metadata}}).status(), kAborted);
    metadata[key] = job["metadata"][key];
    const auto patched = client_.Patch(kJobs, ns_, "a", {{"metadata", metadata}});
    ASSERT_TRUE(patched.ok()) << key << patched.status();
  }
}

TEST_P(ApiClientSuite, ApplyMakesWhatIsNotThereAndTakesAwayWhatItNamedBefore) {
  json intent = Job("a", {{"mine", "1"}, {"passing", "1"}});
  auto applied = client_.Apply(kJobs, intent);
  ASSERT_TRUE(applied.ok()) << applied.status();
  json touched = *applied;
  touched["metadata"]["labels"]["theirs"] = "1";
  ASSERT_TRUE(client_.Update(kJobs, touched).ok());

  intent["metadata"]["labels"].erase("passing");
  intent["metadata"]["labels"]["mine"] = "2";
  applied = client_.Apply(kJobs, intent);
  ASSERT_TRUE(applied.ok()) << applied.status();
  EXPECT_EQ((*applied)["metadata"]["labels"], json({{"mine", "2"}, {"theirs", "1"}}));
  const auto again = client_.Apply(kJobs, intent);
  EXPECT_EQ(ResourceVersionOf(*again), ResourceVersionOf(*applied));
}

TEST_P(ApiClientSuite, DeleteHoldsToTheUidItWasGiven) {
  const json job = *client_.Create(kJobs, Job("a"));
  ASSERT_CODE(client_.Delete(kJobs, ns_, "a", {.uid = "another"}), kAborted);
  ASSERT_TRUE(client_.Delete(kJobs, ns_, "a", {.uid = UidOf(job)}).ok());
  ASSERT_CODE(client_.Get(kJobs, ns_, "a").status(), kNotFound);
  const json again = *client_.Create(kJobs, Job("a"));
  EXPECT_NE(UidOf(again), UidOf(job));
}

TEST_P(ApiClientSuite, AnObjectWithAFinalizerStaysUntilItIsTakenOff) {
  json job = Job("a");
  job["metadata"]["finalizers"] = {"grapevine.dev/test"};
  ASSERT_TRUE(client_.Create(kJobs, job).ok());
  ASSERT_TRUE(client_.Delete(kJobs, ns_, "a", {}).ok());
  job = *client_.Get(kJobs, ns_, "a");
  EXPECT_TRUE(job["metadata"].contains("deletionTimestamp"));
  job["metadata"].erase("deletionTimestamp");
  job = *client_.Update(kJobs, job);
  EXPECT_TRUE(job["metadata"].contains("deletionTimestamp"));
  job["metadata"].erase("finalizers");
  ASSERT_TRUE(client_.Update(kJobs, job).ok());
  ASSERT_CODE(client_.Get(kJobs, ns_, "a").status(), kNotFound);
}

TEST_P(ApiClientSuite, APodThatNoNodeHasTakenIsGoneAtOnce) {
  const json pod = *client_.Create(kPods, Pod("p"));
  EXPECT_EQ(pod["status"]["phase"], "Pending");
  ASSERT_TRUE(client_.Delete(kPods, ns_, "p", {.uid = UidOf(pod)}).ok());
  ASSERT_CODE(client_.Get(kPods, ns_, "p").status(), kNotFound);
}

TEST_P(ApiClientSuite, AWatchFromNowStartsWithWhatIsThere) {
  ASSERT_TRUE(client_.Create(kJobs, Job("a")).ok());
  Heard heard;
  const auto watch = client_.OpenWatch(kJobs, ns_, {}, heard.Listener());
  ASSERT_TRUE(watch.ok()) << watch.status();
  ASSERT_TRUE(client_.Create(kJobs, Job("b")).ok());
  EXPECT_THAT(heard.WaitFor(2), ElementsAre("+a", "+b"));
}

TEST_P(ApiClientSuite, AWatchFromAListMissesNothingAfterIt) {
  json a = *client_.Create(kJobs, Job("a"));
  const json list = *client_.List(kJobs, ns_, {});
  a["spec"]["suspend"] = true;
  ASSERT_TRUE(client_.Update(kJobs, a).ok());
  ASSERT_TRUE(client_.Create(kJobs, Job("b")).ok());
  ASSERT_TRUE(client_.Create(kPods, Pod("p")).ok());
  ASSERT_TRUE(client_.Delete(kJobs, ns_, "a", {}).ok());
  Heard heard;
  const auto watch = client_.OpenWatch(kJobs, ns_, {.resource_version = ResourceVersionOf(list)},
                                       heard.Listener());
  ASSERT_TRUE(watch.ok()) << watch.status();
  EXPECT_THAT(heard.WaitFor(3), ElementsAre("*a", "+b", "-a"));
  std::set<std::string> versions;
  for (const json& object : heard.objects()) versions.insert(ResourceVersionOf(object));
  EXPECT_EQ(versions.size(), 3u);
}

TEST_P(ApiClientSuite, ASelectingWatchSeesObjectsComeAndGoWithTheirLabels) {
  const json list = *client_.List(kJobs, ns_, {});
  const WatchOptions from{.selector = "tier=x", .resource_version = ResourceVersionOf(list)};
  Heard heard;
  const auto watch = client_.OpenWatch(kJobs, ns_, from, heard.Listener());
  ASSERT_TRUE(watch.ok()) << watch.status();
  json job = *client_.Create(kJobs, Job("a"));
  for (const char* tier : {"x", "y", "x"}) {
    job["metadata"]["labels"]["tier"] = tier;
    job = *client_.Update(kJobs, job);
  }
  job["spec"]["suspend"] = true;
  job = *client_.Update(kJobs, job);
  ASSERT_TRUE(client_.Delete(kJobs, ns_, "a", {}).ok());
  EXPECT_THAT(heard.WaitFor(5), ElementsAre("+a", "-a", "+a", "*a", "-a"));
}

TEST_P(ApiClientSuite, AClosedWatchIsSilent) {
  Heard heard;
  auto watch = client_.OpenWatch(kJobs, ns_, {}, heard.Listener());
  ASSERT_TRUE(client_.Create(kJobs, Job("a")).ok());
  heard.WaitFor(1);
  watch->reset();
  Heard other;
  const auto second = client_.OpenWatch(kJobs, ns_, {}, other.Listener());
  ASSERT_TRUE(client_.Create(kJobs, Job("b")).ok());
  other.WaitFor(2);
  EXPECT_THAT(heard.WaitFor(0), ElementsAre("+a"));
}

TEST_P(ApiClientSuite, TwoWatchesHearTheSameInTheSameOrder) {
  const json list = *client_.List(kJobs, ns_, {});
  const WatchOptions from{.resource_version = ResourceVersionOf(list)};
  Heard heard[2];
  const auto first = client_.OpenWatch(kJobs, ns_, from, heard[0].Listener());
  const auto second = client_.OpenWatch(kJobs, ns_, from, heard[1].Listener());
  std::vector<std::thread> writers;
  for (int w = 0; w < 3; ++w) {
    writers.emplace_back([this, w] {
      for (int i = 0; i < 20; ++i) {
        ASSERT_TRUE(
            client_.Create(kJobs, Job("j" + std::to_string(w) + "-" + std::to_string(i))).ok());
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(heard[0].WaitFor(60), heard[1].WaitFor(60));
}

TEST_P(ApiClientSuite, ConcurrentReadModifyWritesLoseNothing) {
  ASSERT_TRUE(client_.Create(kJobs, Job("a")).ok());
  constexpr int kEach = 25;
  std::vector<std::thread> writers;
  for (int w = 0; w < 3; ++w) {
    writers.emplace_back([this] {
      for (int done = 0; done < kEach;) {
        json job = *client_.Get(kJobs, ns_, "a");
        json& samples = job["status"]["progress"]["samples"];
        samples = samples.is_null() ? 1 : samples.get<int>() + 1;
        const absl::Status status = client_.UpdateStatus(kJobs, job).status();
        ASSERT_TRUE(status.ok() || status.code() == absl::StatusCode::kAborted) << status;
        done += status.ok() ? 1 : 0;
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ((*client_.Get(kJobs, ns_, "a"))["status"]["progress"]["samples"], 3 * kEach);
}

}  // namespace
}  // namespace grapevine::conformance
