#include "operator/training_job/graph_record.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace grapevine::training_job {

api::CommunicationGraph ToGraph(const topology::JobRecord& record) {
  api::CommunicationGraph graph{
      .epoch = record.epoch, .last_epoch = record.last_epoch, .last_member = record.last_member};
  for (const topology::JobRecord::Member& member : record.members) {
    const graph::Member* found = record.graph.Find(member.id);
    const bool active = found != nullptr && found->side == graph::Side::kActive;
    graph.members.push_back({.id = member.id,
                             .pod = member.pod,
                             .address = member.address,
                             .side = active ? api::Side::kActive : api::Side::kPassive});
  }
  for (const graph::Edge& edge : record.graph.Edges()) {
    graph.edges.emplace_back(edge.active, edge.passive);
  }
  if (record.progress) {
    graph.progress = {.samples = record.progress->samples,
                      .data_epoch = record.progress->data_epoch};
    for (const progress::BatchRange& range : record.progress->done) {
      graph.progress->done.push_back({range.data_epoch, range.first_batch, range.end_batch});
    }
  }
  return graph;
}

absl::StatusOr<topology::JobRecord> ToRecord(const api::CommunicationGraph& graph) {
  topology::JobRecord record{
      .epoch = graph.epoch, .last_epoch = graph.last_epoch, .last_member = graph.last_member};
  std::vector<graph::Member> members;
  for (const api::GraphMember& member : graph.members) {
    record.members.push_back({.id = member.id, .pod = member.pod, .address = member.address});
    members.push_back(
        {.id = member.id,
         .side = member.side == api::Side::kActive ? graph::Side::kActive : graph::Side::kPassive});
  }
  std::vector<graph::Edge> edges;
  for (const auto& [active, passive] : graph.edges) edges.push_back({active, passive});
  auto made = graph::Graph::Make(std::move(members), edges);
  if (!made.ok()) return made.status();
  record.graph = *std::move(made);
  if (graph.progress) {
    record.progress = {.samples = graph.progress->samples,
                       .data_epoch = graph.progress->data_epoch};
    for (const api::DoneBatches& range : graph.progress->done) {
      record.progress->done.push_back({range.data_epoch, range.first, range.end});
    }
  }
  return record;
}

}  // namespace grapevine::training_job
