#include <iterator>

#include "operator/api/communication_graph.h"
#include "operator/topology/hub.h"
#include "operator/training_job/graph_record.h"
#include "tests/fuzz/mutator.h"
#include "tests/fuzz/require.h"
#include "tests/fuzz/targets.h"

namespace grapevine::fuzz {
namespace {

using nlohmann::json;

constexpr std::string_view kTokens[] = {"epoch",  "lastEpoch", "lastMember", "members",  "edges",
                                        "active", "passive",   "progress",   "done",     "samples",
                                        "status", "reason",    "0.5",        "dataEpoch"};

constexpr std::string_view kSeed = R"({"apiVersion": "grapevine.dev/v1alpha1",
"kind": "CommunicationGraph", "metadata": {"name": "a", "namespace": "n", "uid": "u"},
"status": {"epoch": 7, "lastEpoch": 8, "lastMember": 9, "members": [
  {"id": 2, "pod": "a-0-0", "address": "h:1", "side": "passive", "since": "2024-05-01T09:30:00Z"},
  {"id": 4, "pod": "a-1-0", "address": "h:2", "side": "active", "since": "2024-05-01T09:30:00Z"},
  {"id": 5, "pod": "a-2-0", "address": "h:3", "side": "passive", "since": "2024-05-01T09:30:00Z"}],
 "edges": [[4, 2], [4, 5]], "spectralGap": "0.5", "reason": "r",
 "progress": {"samples": 70, "dataEpoch": 1, "done": [[1, 0, 2], [2, 0, 1]]}}})";

class Nobody final : public topology::Sink {
 public:
  bool Send(const topology::HubMessage&) override { return true; }
  void Close() override {}
};

// A hub that takes the job over: one member comes back and says how large the data is.
void TakeOver(const topology::JobRecord& record) {
  const RealClock clock;
  topology::Hub hub(clock, [](const topology::JobKey&) {});
  const topology::JobKey key{"n", "a"};
  hub.EnsureJob(key, {.uid = "j", .spec_json = "{}", .batch_size = 10, .data_epochs = 3}, record);
  topology::WorkerMessage message;
  auto& registration = *message.mutable_register_();
  registration.set_namespace_("n");
  registration.set_job("a");
  registration.set_job_uid("j");
  registration.set_pod("a-1-0");
  registration.set_address("h:2");
  registration.set_member(4);
  registration.mutable_built()->set_samples(50);
  hub.OnMessage(hub.Connect(std::make_shared<Nobody>()), message);
  hub.Tick();
  Require(hub.Observe(key).epoch >= record.epoch, "the epoch goes back");
  const topology::JobRecord next = hub.Record(key);
  Require(next.last_epoch >= record.last_epoch && next.last_member >= record.last_member,
          "a number may be given again");
  const uint64_t epoch = hub.Apply(key, {.publish = topology::Publication{.graph = record.graph}});
  Require(epoch > record.last_epoch, "an epoch is given again");
}

}  // namespace

void FuzzRecord(std::string_view input) {
  const json object = json::parse(input, nullptr, /*allow_exceptions=*/false);
  const absl::StatusOr<api::CommunicationGraph> graph = api::CommunicationGraphFromJson(object);
  if (!graph.ok()) {
    Require(absl::IsInvalidArgument(graph.status()), "an error of another kind");
    return;
  }
  if (graph->metadata.name_space.empty()) return;  // no API server has such
  const auto again = api::CommunicationGraphFromJson(json::parse(api::ToJson(*graph).dump()));
  Require(again.ok() && *again == *graph, "what it wrote it reads as another graph");
  const absl::StatusOr<topology::JobRecord> record = training_job::ToRecord(*graph);
  if (record.ok()) TakeOver(*record);
}

std::string MakeRecord(uint64_t number) {
  Mutator mutator(number, kTokens);
  json graph = json::parse(kSeed);
  if (number == 0) return graph.dump();
  json& part = mutator.OneIn(4) ? graph : graph["status"];
  part = mutator.Json(part);
  const std::string text = graph.dump();
  return mutator.OneIn(8) ? mutator.Bytes(text, kSeed) : text;
}

}  // namespace grapevine::fuzz
