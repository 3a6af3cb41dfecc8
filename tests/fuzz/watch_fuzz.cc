#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "operator/controller/object_store.h"
#include "operator/kube/list_decoder.h"
#include "operator/kube/watch_decoder.h"
#include "operator/training_job/observe.h"
#include "tests/fuzz/mutator.h"
#include "tests/fuzz/require.h"
#include "tests/fuzz/targets.h"

namespace grapevine::fuzz {
namespace {

using controller::WatchEvent;
using nlohmann::json;

constexpr std::string_view kTokens[] = {"\n",
                                        "\n\n",
                                        "\r\n",
                                        "{",
                                        "}",
                                        "[",
                                        "]",
                                        "\"",
                                        "\\",
                                        "\\\"",
                                        "\\u0000",
                                        "\\ud800",
                                        ",",
                                        ":",
                                        "null",
                                        "items",
                                        "kind",
                                        "\"items\":[",
                                        "type",
                                        "object",
                                        "ADDED",
                                        "BOOKMARK",
                                        "ERROR",
                                        "List",
                                        "metadata",
                                        "uid",
                                        "name",
                                        "namespace",
                                        "ownerReferences",
                                        "controller",
                                        "resourceVersion",
                                        "\xEF\xBB\xBF"};

constexpr char kPod[] = R"({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a-0-0",
"namespace": "n", "uid": "u", "resourceVersion": "7", "labels": {"x": "y"},
"ownerReferences": [{"uid": "j", "controller": true}]}, "status": {"phase": "Running"}})";

// Cuts `bytes` the same way each time, into pieces of 0 to 15 bytes.
template <typename Feed>
absl::Status InPieces(std::string_view bytes, const Feed& feed) {
  uint64_t state = bytes.size();
  while (!bytes.empty()) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const std::string piece(bytes.substr(0, state >> 60));  // its own memory: nothing may be kept
    bytes.remove_prefix(piece.size());
    if (absl::Status status = feed(piece); !status.ok()) return status;
  }
  return absl::OkStatus();
}

struct Watched {
  std::vector<std::pair<WatchEvent::Type, json>> events;
  bool ok = false;
  size_t pending = 0;

  bool operator==(const Watched&) const = default;
};

Watched Watch(std::string_view bytes, bool in_pieces) {
  Watched watched;
  kube::WatchDecoder decoder(
      [&](WatchEvent event) { watched.events.emplace_back(event.type, std::move(event.object)); });
  const auto feed = [&](std::string_view piece) { return decoder.Feed(piece); };
  watched.ok = (in_pieces ? InPieces(bytes, feed) : feed(bytes)).ok();
  if (watched.ok) watched.pending = decoder.pending();
  return watched;
}

struct Listed {
  std::vector<json> items;
  std::optional<json> list;

  bool operator==(const Listed&) const = default;
};

Listed List(std::string_view bytes, bool in_pieces) {
  Listed listed;
  kube::ListDecoder decoder([&](json item) { listed.items.push_back(std::move(item)); });
  const auto feed = [&](std::string_view piece) { return decoder.Feed(piece); };
  if (!(in_pieces ? InPieces(bytes, feed) : feed(bytes)).ok()) return listed;
  if (absl::StatusOr<json> list = decoder.Finish(); list.ok()) listed.list = *std::move(list);
  return listed;
}

bool IsList(const json& text) {
  if (!text.is_object() || !text.contains("kind") || !text["kind"].is_string()) return false;
  if (!text["kind"].get_ref<const std::string&>().ends_with("List")) return false;
  if (!text.contains("items") || !text["items"].is_array()) return false;
  for (const json& item : text["items"]) {
    if (!item.is_object()) return false;
  }
  return true;
}

}  // namespace

void FuzzWatch(std::string_view input) {
  const Watched watched = Watch(input, false);
  Require(Watch(input, true) == watched, "it matters where the bytes were cut");
  controller::ObjectStore store("x");
  for (const auto& [type, object] : watched.events) {
    Require(object.is_object(), "an event without an object");
    json trimmed = object;
    training_job::TrimWorkerPod(trimmed);
    const controller::Request key = controller::KeyOf(trimmed);
    if (type == WatchEvent::Type::kDeleted) {
      store.Erase(key);
      continue;
    }
    store.Put(trimmed);
    Require(*store.Get(key) == trimmed, "the store holds another object");
  }
  for (const controller::Object& object : store.List()) {
    Require(store.Erase(controller::KeyOf(*object)).before != nullptr, "nothing to erase");
  }
  Require(store.size() == 0 && store.Orphans("y").empty() && store.OwnedBy("j").empty(),
          "something is left in the store");
}

void FuzzList(std::string_view input) {
  const Listed listed = List(input, false);
  Require(List(input, true) == listed, "it matters where the bytes were cut");
  const json whole = json::parse(input, nullptr, /*allow_exceptions=*/false);
  if (listed.list) Require(!whole.is_discarded() || !listed.items.empty(), "what is no JSON");
  // Only here is each key there once, and written plainly.
  if (whole.is_discarded() || whole.dump() != input) return;
  if (!IsList(whole)) return;
  Require(listed.list.has_value(), "a list is refused");
  Require(json(listed.items) == whole["items"], "other items");
  json rest = whole;
  rest["items"] = json::array();
  Require(*listed.list == rest, "another list");
}

std::string MakeWatch(uint64_t number) {
  Mutator mutator(number, kTokens);
  constexpr const char* kTypes[] = {"ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"};
  std::string frames;
  for (size_t left = 1 + mutator.Below(4); left > 0; --left) {
    json frame = {{"type", kTypes[mutator.Below(std::size(kTypes))]},
                  {"object", json::parse(kPod)}};
    if (!mutator.OneIn(3)) frame = mutator.Json(frame);
    frames += frame.dump() + (mutator.OneIn(8) ? "\r\n" : "\n");
  }
  return mutator.OneIn(2) ? frames : mutator.Bytes(frames, kPod);
}

std::string MakeList(uint64_t number) {
  Mutator mutator(number, kTokens);
  json list = {{"kind", "PodList"},
               {"apiVersion", "v1"},
               {"metadata", {{"resourceVersion", "9"}, {"continue", ""}}},
               {"items", json::array()}};
  for (size_t left = mutator.Below(4); left > 0; --left) {
    list["items"].push_back(json::parse(kPod));
    if (mutator.OneIn(4)) list["items"].back() = mutator.Json(list["items"].back());
  }
  if (mutator.OneIn(2)) list = mutator.Json(list);
  const std::string text = list.dump(mutator.OneIn(4) ? 1 : -1);
  return mutator.OneIn(2) ? text : mutator.Bytes(text, kPod);
}

}  // namespace grapevine::fuzz
