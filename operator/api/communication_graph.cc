#include "operator/api/communication_graph.h"

#include <algorithm>
#include <set>

#include "absl/status/status.h"
#include "fmt/format.h"
#include "operator/api/decimal.h"
#include "operator/api/field_reader.h"
#include "operator/api/labels.h"

namespace grapevine::api {
namespace {

using nlohmann::json;

const char* ToString(Side side) { return side == Side::kActive ? "active" : "passive"; }

// Of everything that is counted here: more cannot have been given, and there is room to count on.
constexpr uint64_t kMostCounted = uint64_t{1} << 62;

// What the library would make of another number, a negative one or one with a fraction, is another
// number.
uint64_t Count(const json& value) {
  const bool whole =
      value.is_number_unsigned() || (value.is_number_integer() && value.get<int64_t>() >= 0);
  if (!whole || value.get<uint64_t>() > kMostCounted) {
    throw json::other_error::create(
        501, fmt::format("found {}, allowed is 0 to {}", Found(value), kMostCounted), nullptr);
  }
  return value.get<uint64_t>();
}

uint64_t CountOrZero(const json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? 0 : Count(*found);
}

int64_t SignedCount(const json& value) { return static_cast<int64_t>(Count(value)); }

GraphProgress ReadProgress(const json& object) {
  GraphProgress progress{.samples = SignedCount(object.at("samples")),
                         .data_epoch = SignedCount(object.at("dataEpoch"))};
  for (const json& each : object.at("done")) {
    progress.done.push_back(
        {SignedCount(each.at(0)), SignedCount(each.at(1)), SignedCount(each.at(2))});
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
  graph.epoch = Count(status.at("epoch"));
  for (const json& each : status.at("members")) {
    const auto side = each.at("side").get<std::string>();
    if (side != "active" && side != "passive") {
      throw json::other_error::create(501, "side is neither active nor passive", nullptr);
    }
    graph.members.push_back({.id = Count(each.at("id")),
                             .pod = each.at("pod").get<std::string>(),
                             .address = each.at("address").get<std::string>(),
                             .side = side == "active" ? Side::kActive : Side::kPassive,
                             .since = each.at("since").get<std::string>()});
  }
  for (const json& each : status.at("edges")) {
    graph.edges.emplace_back(Count(each.at(0)), Count(each.at(1)));
  }
  graph.spectral_gap = ParseDecimal(status.at("spectralGap").get<std::string>()).value_or(0);
  graph.reason = status.value("reason", "");
  graph.last_epoch = std::max(CountOrZero(status, "lastEpoch"), graph.epoch);
  graph.last_member = CountOrZero(status, "lastMember");
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
