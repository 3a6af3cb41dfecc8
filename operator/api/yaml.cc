#include "operator/api/yaml.h"

#include <charconv>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

#include "absl/status/status.h"
#include "fmt/format.h"
#include "operator/api/decimal.h"
#include "operator/api/field_reader.h"
#include "yaml-cpp/eventhandler.h"
#include "yaml-cpp/yaml.h"

namespace grapevine::api {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 64;
constexpr size_t kMaxTagShown = 60;  // it has letters of ASCII alone
constexpr int kMaxValues = 100'000;
constexpr size_t kMaxText = 4 * kMaxYamlBytes;  // of strings and keys
constexpr std::string_view kCoreTag = "tag:yaml.org,2002:";

constexpr std::string_view kTooMuchText = "too much text once aliases are followed";

bool OnlyOf(std::string_view text, std::string_view characters) {
  return !text.empty() && text.find_first_not_of(characters) == std::string_view::npos;
}

json ParseInteger(std::string_view digits, int base, bool negative) {
  int64_t value = 0;
  const std::string text = fmt::format("{}{}", negative ? "-" : "", digits);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error == std::errc()) return value;
  const std::optional<double> inexact = base == 10 ? ParseDecimal(text) : std::nullopt;
  return inexact ? json(*inexact) : json(text);
}

// The core schema's rules for a scalar without quotes. Infinity and NaN stay strings: JSON has
// neither.
json ResolvePlain(const std::string& text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") {
    return nullptr;
  }
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  std::string_view digits = text;
  if (digits.starts_with("0x") && OnlyOf(digits.substr(2), "0123456789abcdefABCDEF")) {
    return ParseInteger(digits.substr(2), 16, false);
  }
  if (digits.starts_with("0o") && OnlyOf(digits.substr(2), "01234567")) {
    return ParseInteger(digits.substr(2), 8, false);
  }
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  if (OnlyOf(digits, "0123456789")) return ParseInteger(digits, 10, negative);
  if (const std::optional<double> number = ParseDecimal(text)) return *number;
  return text;
}

// Follows aliases, so it counts what it makes. Lives for one call of ParseYaml.
class Converter {
 public:
  absl::StatusOr<json> Convert(const YAML::Node& node, int depth) {
    if (depth > kMaxDepth) return Refuse(node, fmt::format("deeper than {} levels", kMaxDepth));
    if (++values_ > kMaxValues) return Refuse(node, fmt::format("more than {} values", kMaxValues));
    switch (node.Type()) {
      case YAML::NodeType::Undefined:
      case YAML::NodeType::Null:
        return json(nullptr);
      case YAML::NodeType::Scalar:
        return ConvertScalar(node);
      case YAML::NodeType::Sequence:
        return ConvertSequence(node, depth);
      case YAML::NodeType::Map:
        return ConvertMapping(node, depth);
    }
    return Refuse(node, "unknown kind of node");
  }

 private:
  static absl::Status Refuse(const YAML::Node& node, std::string_view what) {
    return absl::InvalidArgumentError(
        fmt::format("line {}, column {}: {}", node.Mark().line + 1, node.Mark().column + 1, what));
  }

  bool Fits(const std::string& text) { return (text_ += text.size()) <= kMaxText; }

  absl::StatusOr<json> ConvertScalar(const YAML::Node& node) {
    if (!Fits(node.Scalar())) return Refuse(node, kTooMuchText);
    const std::string& tag = node.Tag();
    // "!" is how the parser marks quotes.
    if (tag == "!" || tag == fmt::format("{}str", kCoreTag)) return json(node.Scalar());
    if (tag.empty() || tag == "?" || tag.starts_with(kCoreTag)) return ResolvePlain(node.Scalar());
    return Refuse(node, fmt::format("tag {} is not known", tag.substr(0, kMaxTagShown)));
  }

  absl::StatusOr<json> ConvertSequence(const YAML::Node& node, int depth) {
    json result = json::array();
    for (const YAML::Node& each : node) {
      absl::StatusOr<json> value = Convert(each, depth + 1);
      if (!value.ok()) return value.status();
      result.push_back(*std::move(value));
    }
    return result;
  }

  absl::StatusOr<json> ConvertMapping(const YAML::Node& node, int depth) {
    json result = json::object();
    for (const auto& each : node) {
      if (!each.first.IsScalar()) return Refuse(node, "a key that is no scalar");
      const std::string& key = each.first.Scalar();
      if (!Fits(key)) return Refuse(node, kTooMuchText);
      if (result.contains(key)) {
        return Refuse(each.first, fmt::format("the key {} is there twice", Found(key)));
      }
      absl::StatusOr<json> value = Convert(each.second, depth + 1);
      if (!value.ok()) return value.status();
      result[key] = *std::move(value);
    }
    return result;
  }

  int values_ = 0;
  size_t text_ = 0;
};

// Takes note of nothing.
class Listener final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

// Loading all documents to count them never ends for some texts, in which the parser finds an empty
// document again and again.
bool HasSecondDocument(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  Listener listener;
  return parser.HandleNextDocument(listener) && parser.HandleNextDocument(listener);
}

}  // namespace

absl::StatusOr<json> ParseYaml(std::string_view text) {
  if (text.size() > kMaxYamlBytes) {
    return absl::InvalidArgumentError(fmt::format("more than {} bytes of YAML", kMaxYamlBytes));
  }
  const std::string whole(text);
  // The YAML parser does not look.
  if (!IsUtf8(whole)) return absl::InvalidArgumentError("the text is not UTF-8");
  try {
    if (HasSecondDocument(whole)) {
      return absl::InvalidArgumentError("several YAML documents where one is expected");
    }
    return Converter().Convert(YAML::Load(whole), 0);
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(fmt::format("line {}, column {}: {}", error.mark.line + 1,
                                                  error.mark.column + 1, error.msg));
  }
}

}  // namespace grapevine::api
