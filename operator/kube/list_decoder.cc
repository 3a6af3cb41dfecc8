#include "operator/kube/list_decoder.h"

#include <utility>

#include "operator/kube/json_text.h"

namespace grapevine::kube {
namespace {

using nlohmann::json;

constexpr int kItemsDepth = 2;  // within the list's array: {"items": [ ...

}  // namespace

absl::Status ListDecoder::Feed(std::string_view bytes) {
  for (const char byte : bytes) {
    if (absl::Status status = Take(byte); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status ListDecoder::Take(char byte) {
  const bool in_item = in_items_ && depth_ > kItemsDepth;
  std::string& text = in_items_ ? item_ : rest_;
  if (in_string_) {
    text += byte;
    if (escaped_) {
      escaped_ = false;
    } else if (byte == '\\') {
      escaped_ = true;
    } else if (byte == '"') {
      in_string_ = false;
    }
  } else if (byte == '[' || byte == '{') {
    const bool items = byte == '[' && depth_ == 1 && AtItems();
    ++depth_;
    text += byte;
    in_items_ = in_items_ || items;
  } else if (byte == ']' || byte == '}') {
    --depth_;
    if (in_items_ && depth_ < kItemsDepth) {
      in_items_ = false;
      rest_ += byte;
      return item_.find_first_not_of(" \t\r\n,") == std::string::npos
                 ? absl::OkStatus()
                 : absl::DataLossError("an item of the list is no object");
    }
    text += byte;
    if (in_item && depth_ == kItemsDepth) return EndItem();
  } else {
    if (byte == '"') in_string_ = true;
    // Between items there are only commas.
    if (in_items_ && !in_item && byte == ',') return absl::OkStatus();
    text += byte;
  }
  if (item_.size() > kMaxItem || rest_.size() > kMaxRest) {
    return absl::DataLossError("the list is too long");
  }
  return absl::OkStatus();
}

// The last thing before a bracket is the name of the items.
bool ListDecoder::AtItems() const {
  std::string_view before = rest_;
  const auto strip = [&](std::string_view end) {
    while (!before.empty() &&
           std::string_view(" \t\r\n").find(before.back()) != std::string::npos) {
      before.remove_suffix(1);
    }
    if (!before.ends_with(end)) return false;
    before.remove_suffix(end.size());
    return true;
  };
  return strip(":") && strip("\"items\"");
}

absl::Status ListDecoder::EndItem() {
  json item = ParseJson(item_);
  item_.clear();
  if (!item.is_object()) return absl::DataLossError("an item of the list is no object");
  on_item_(std::move(item));
  return absl::OkStatus();
}

void ListDecoder::Reset() {
  rest_.clear();
  item_.clear();
  depth_ = 0;
  in_items_ = in_string_ = escaped_ = false;
}

absl::StatusOr<json> ListDecoder::Finish() const {
  json list = ParseJson(rest_);
  const auto kind = list.is_object() ? list.find("kind") : list.end();
  // An object of another kind must not pass for a list of nothing.
  if (kind == list.end() || !kind->is_string() ||
      !kind->get_ref<const std::string&>().ends_with("List")) {
    return absl::DataLossError("what came is no list, or was cut off");
  }
  return list;
}

}  // namespace grapevine::kube
