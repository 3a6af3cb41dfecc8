#include "operator/api/communication_graph.h"

#include "gtest/gtest.h"

namespace grapevine::api {
namespace {

using nlohmann::json;

CommunicationGraph Example() {
  CommunicationGraph graph;
  graph.metadata.name = "digits";
  graph.epoch = 7;
  graph.members = {{1, "digits-0-0", "10.0.0.1:900", Side::kActive, "2024-05-01T09:30:00Z"},
                   {4, "digits-1-0", "10.0.0.2:900", Side::kPassive, "2024-05-01T09:30:00Z"}};
  graph.edges = {{1, 4}};
  graph.spectral_gap = 0.123456789012345;
  graph.reason = "member 4 joined";
  graph.last_epoch = 9;
  graph.last_member = 5;
  graph.progress = {.samples = 170, .data_epoch = 1, .done = {{1, 0, 4}, {2, 3, 7}}};
  return graph;
}

TEST(CommunicationGraphTest, SurvivesARoundTrip) {
  const absl::StatusOr<CommunicationGraph> read = CommunicationGraphFromJson(ToJson(Example()));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, Example());
}

TEST(CommunicationGraphTest, WithoutAStatusHasEpochZero) {
  const auto read = CommunicationGraphFromJson({{"metadata", {{"name", "digits"}}}});
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->epoch, 0u);
  EXPECT_TRUE(read->members.empty());
}

TEST(CommunicationGraphTest, NothingThatWasGivenIsAboveTheLastOne) {
  json object = ToJson(Example());
  object["status"].erase("lastEpoch");
  object["status"].erase("lastMember");
  const auto read = CommunicationGraphFromJson(object);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->last_epoch, read->epoch);
  EXPECT_EQ(read->last_member, 4u);
}

TEST(CommunicationGraphTest, RefusesHalfAGraph) {
  for (const char* patch :
       {R"({"status": {"edges": [[1, 9]]}})", R"({"status": {"edges": [[1]]}})",
        R"({"status": {"edges": null}})", R"({"status": {"edges": [["1", "4"]]}})",
        R"({"status": {"epoch": null}})", R"({"status": {"epoch": "7"}})",
        R"({"status": {"members": [{"id": 1}]}})", R"({"status": {"members": {"a": 1}}})",
        R"({"status": {"progress": 1}})", R"({"status": {"progress": {"done": [[1, 2]]}}})",
        R"({"status": {"progress": {"samples": null}}})", R"({"status": {"lastMember": "5"}})",
        R"({"status": 3})"}) {
    json object = ToJson(Example());
    object.merge_patch(json::parse(patch));
    EXPECT_EQ(CommunicationGraphFromJson(object).status().code(),
              absl::StatusCode::kInvalidArgument)
        << patch;
  }
  json unknown_side = ToJson(Example());
  unknown_side["status"]["members"][0]["side"] = "left";
  EXPECT_FALSE(CommunicationGraphFromJson(unknown_side).ok());
  json twice = ToJson(Example());
  twice["status"]["members"][1]["id"] = 1;
  EXPECT_FALSE(CommunicationGraphFromJson(twice).ok());
  EXPECT_FALSE(CommunicationGraphFromJson(json::array()).ok());
}

// A new leader counts on from these.
TEST(CommunicationGraphTest, RefusesNumbersThatCannotHaveBeenCounted) {
  const auto status_of = [](const char* patch) {
    json graph = ToJson(Example());
    graph.merge_patch(json::parse(patch));
    return CommunicationGraphFromJson(graph).status().code();
  };
  EXPECT_EQ(status_of(R"({"status": {"lastEpoch": 4611686018427387904}})"), absl::StatusCode::kOk);
  for (const char* patch :
       {R"({"status": {"epoch": -1}})", R"({"status": {"epoch": 18446744073709551615}})",
        R"({"status": {"epoch": 1e300}})", R"({"status": {"epoch": 1.5}})",
        R"({"status": {"lastEpoch": 4611686018427387905}})", R"({"status": {"lastMember": -3}})",
        R"({"status": {"edges": [[-1, 2]]}})",
        R"({"status": {"progress": {"samples": -5, "dataEpoch": 0, "done": []}}})",
        R"({"status": {"progress": {"samples": 0, "dataEpoch": 1e18, "done": []}}})",
        R"({"status": {"progress": {"samples": 0, "dataEpoch": 0, "done": [[0, -1, 2]]}}})"}) {
    EXPECT_EQ(status_of(patch), absl::StatusCode::kInvalidArgument) << patch;
  }
}

}  // namespace
}  // namespace grapevine::api
