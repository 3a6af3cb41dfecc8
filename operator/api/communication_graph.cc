#include "operator/api/communication_graph.h"

#include <algorithm>
#include <set>

#include "absl/status/status.h"
#include "fmt/format.h"
#include "operator/api/decimal.h"
#include "operator/api/labels.h"

namespace grapevine::api {
namespace {

using nlohmann::json;

const char* ToString(Side side) { return side == Side::kActive ? "active" : "passive"; }

GraphProgress ReadProgress(const json& object) {
  GraphProgress progress{.samples = object.at("samples").get<int64_t>(),
                         .data_epoch = object.at("dataEpoch").get<int64_t>()};
  for (const json& each : object.at("done")) {
    progress.done.push_back(
        {each.at(0).get<int64_t>(), each.at(1).get<int64_t>(), each.at(2).get<int64_t>()});
  }
  return progress;
}

// The library's exceptions for absent members and wrong types end here.
CommunicationGraph ReadOrThrow(const json& object) {
  CommunicationGraph graph;
  graph.metadata = MetadataOf(object);
  if (!object.is_object()) throw json::other_error::create(501, "not a mapping", nullptr);
  if (!object.contains("status")) return graph;
  const json& status = object.at("status");
  graph.epoch = status.at("epoch").get<uint64_t>();
  for (const json& each : status.at("members")) {
    const auto side = each.at("side").get<std::string>();
    if (side != "active" && side != "passive") {
      throw json::other_error::create(501, "side is neither active nor passive", nullptr);
    }
    graph.members.push_back({.id = each.at("id").get<MemberId>(),
                             .pod = each.at("pod").get<std::string>(),
                             .address = each.at("address").get<std::string>(),
                             .side = side == "active" ? Side::kActive : Side::kPassive,
                             .since = each.at("since").get<std::string>()});
  }
  for (const json& each : status.at("edges")) {
    graph.edges.emplace_back(each.at(0).get<MemberId>(), each.at(1).get<MemberId>());
  }
  graph.spectral_gap = ParseDecimal(status.at("spectralGap").get<std::string>()).value_or(0);
  graph.reason = status.value("reason", "");
  graph.last_epoch = std::max(status.value("lastEpoch", uint64_t{0}), graph.epoch);
  graph.last_member = status.value("lastMember", MemberId{0});
  for (const GraphMember& member : graph.members) {
    graph.last_member = std::max(graph.last_member, member.id);
  }
  if (status.contains("progress")) graph.progress = ReadProgress(status.at("progress"));
  return graph;
}

json ToJson(const GraphProgress& progress) {
  json done = json::array();
  for (const DoneBatches& range : progress.done) {
    done.push_back(json::array({range.data_epoch, range.first, range.end}));
  }
  return {
      {"samples", progress.samples}, {"dataEpoch", progress.data_epoch}, {"done", std::move(done)}};
}

}  // namespace

json ToJson(const CommunicationGraph& graph) {
  json members = json::array();
  for (const GraphMember& member : graph.members) {
    members.push_back({{"id", member.id},
                       {"pod", member.pod},
                       {"address", member.address},
                       {"side", ToString(member.side)},
                       {"since", member.since}});
  }
  json edges = json::array();
  for (const auto& [active, passive] : graph.edges) {
    edges.push_back(json::array({active, passive}));
  }
  json status = {{"epoch", graph.epoch},
                 {"lastEpoch", graph.last_epoch},
                 {"lastMember", graph.last_member},
                 {"members", std::move(members)},
                 {"edges", std::move(edges)},
                 {"spectralGap", FormatDecimal(graph.spectral_gap)},
                 {"reason", graph.reason}};
  if (graph.progress) status["progress"] = ToJson(*graph.progress);
  return {{"apiVersion", kApiVersion},
          {"kind", kCommunicationGraphKind},
          {"metadata", ToJson(graph.metadata)},
          {"status", std::move(status)}};
}

absl::StatusOr<CommunicationGraph> CommunicationGraphFromJson(const json& object) {
  CommunicationGraph graph;
  try {
    graph = ReadOrThrow(object);
  } catch (const json::exception& error) {
    return absl::InvalidArgumentError(fmt::format("CommunicationGraph: {}", error.what()));
  }
  std::set<MemberId> known;
  for (const GraphMember& member : graph.members) {
    if (!known.insert(member.id).second) {
      return absl::InvalidArgumentError(
          fmt::format("CommunicationGraph: member {} is listed twice", member.id));
    }
  }
  for (const auto& [active, passive] : graph.edges) {
    if (!known.contains(active) || !known.contains(passive)) {
      return absl::InvalidArgumentError(fmt::format(
          "CommunicationGraph: edge [{}, {}] names a member that is not listed", active, passive));
    }
  }
  return graph;
}

}  // namespace grapevine::api
