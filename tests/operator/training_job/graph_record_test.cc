#include "operator/training_job/graph_record.h"

#include "gtest/gtest.h"

namespace grapevine::training_job {
namespace {

topology::JobRecord Example() {
  topology::JobRecord record{.epoch = 7, .last_epoch = 8, .last_member = 9};
  record.members = {{.id = 2, .pod = "digits-0-0", .address = "10.0.0.1:900"},
                    {.id = 4, .pod = "digits-1-0", .address = "10.0.0.2:900"},
                    {.id = 5, .pod = "digits-2-0", .address = "10.0.0.3:900"}};
  const graph::Edge edges[] = {{4, 2}, {4, 5}};
  record.graph = *graph::Graph::Make(
      {{2, graph::Side::kPassive}, {4, graph::Side::kActive}, {5, graph::Side::kPassive}}, edges);
  record.progress =
      progress::Progress{.samples = 70, .data_epoch = 1, .done = {{1, 0, 2}, {1, 5, 6}, {2, 0, 1}}};
  return record;
}

TEST(GraphRecord, TheNextLeaderReadsWhatThisOneWrote) {
  const topology::JobRecord written = Example();
  // As the API server keeps it.
  const auto stored = api::CommunicationGraphFromJson(api::ToJson(ToGraph(written)));
  ASSERT_TRUE(stored.ok()) << stored.status();
  const auto read = ToRecord(*stored);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->epoch, written.epoch);
  EXPECT_EQ(read->last_epoch, written.last_epoch);
  EXPECT_EQ(read->last_member, written.last_member);
  EXPECT_EQ(read->graph, written.graph);
  ASSERT_EQ(read->members.size(), 3u);
  EXPECT_EQ(read->members[1].id, 4u);
  EXPECT_EQ(read->members[1].pod, "digits-1-0");
  EXPECT_EQ(read->members[1].address, "10.0.0.2:900");
  ASSERT_TRUE(read->progress);
  EXPECT_EQ(read->progress->samples, 70);
  EXPECT_EQ(read->progress->data_epoch, 1);
  EXPECT_EQ(read->progress->done, written.progress->done);
}

TEST(GraphRecord, WithoutProgressThereIsNone) {
  topology::JobRecord record = Example();
  record.progress.reset();
  const auto read = ToRecord(*api::CommunicationGraphFromJson(api::ToJson(ToGraph(record))));
  ASSERT_TRUE(read.ok());
  EXPECT_FALSE(read->progress);
}

TEST(GraphRecord, EdgesThatAreNoGraphAreRefused) {
  api::CommunicationGraph graph = ToGraph(Example());
  graph.edges.emplace_back(2, 5);
  EXPECT_EQ(ToRecord(graph).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace grapevine::training_job
