#include "operator/kube/watch_decoder.h"

#include <optional>
#include <utility>

#include "fmt/format.h"
#include "operator/kube/json_text.h"

namespace grapevine::kube {
namespace {

using controller::WatchEvent;
using nlohmann::json;

std::optional<WatchEvent::Type> TypeOf(const json& frame) {
  const auto type = frame.find("type");
  if (type == frame.end()) return std::nullopt;
  if (*type == "ADDED") return WatchEvent::Type::kAdded;
  if (*type == "MODIFIED") return WatchEvent::Type::kModified;
  if (*type == "DELETED") return WatchEvent::Type::kDeleted;
  if (*type == "BOOKMARK") return WatchEvent::Type::kBookmark;
  if (*type == "ERROR") return WatchEvent::Type::kError;
  return std::nullopt;
}

}  // namespace

absl::Status WatchDecoder::Feed(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    const std::string_view piece = bytes.substr(0, end);
    if (line_.size() + piece.size() > kMaxLine) {
      return absl::DataLossError(fmt::format("a watch event of more than {} bytes", kMaxLine));
    }
    if (end == std::string_view::npos) {
      line_ += piece;
      return absl::OkStatus();
    }
    bytes.remove_prefix(end + 1);
    absl::Status status;
    if (line_.empty()) {
      status = Decode(piece);
    } else {
      line_ += piece;
      const std::string line = std::exchange(line_, {});
      status = Decode(line);
    }
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status WatchDecoder::Decode(std::string_view line) {
  if (line.find_first_not_of(" \t\r") == std::string_view::npos) return absl::OkStatus();
  json frame = ParseJson(line);
  const std::optional<WatchEvent::Type> type =
      frame.is_object() ? TypeOf(frame) : std::optional<WatchEvent::Type>();
  const auto object = frame.is_object() ? frame.find("object") : frame.end();
  if (!type || object == frame.end() || !object->is_object()) {
    return absl::DataLossError("what came is no watch event");
  }
  on_event_({*type, std::move(*object)});
  return absl::OkStatus();
}

}  // namespace grapevine::kube
