#include "tests/fuzz/mutator.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

namespace grapevine::fuzz {
namespace {

using nlohmann::json;

constexpr size_t kMostChanges = 4;
constexpr size_t kMostBytes = 1 << 16;  // of one input, but for what nests
constexpr size_t kLongText = 2000;      // characters

void AddNodes(json& node, std::vector<json*>& nodes) {
  nodes.push_back(&node);
  if (!node.is_structured()) return;
  for (json& child : node) AddNodes(child, nodes);
}

std::string LongText() {
  std::string text = "xx";
  for (size_t i = 0; i < kLongText; ++i) text += "\xE2\x82\xAC";
  return text;
}

}  // namespace

std::string Mutator::Bytes(std::string text, std::string_view other) {
  for (size_t left = 1 + Below(kMostChanges); left > 0; --left) ChangeBytes(text, other);
  if (text.size() > kMostBytes) text.resize(kMostBytes);
  return text;
}

void Mutator::ChangeBytes(std::string& text, std::string_view other) {
  const size_t at = Below(text.size() + 1);
  const size_t length = Below(std::min<size_t>(text.size() - at, OneIn(4) ? 1000 : 20) + 1);
  switch (Below(9)) {
    case 0:
      if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << Below(8)));
      break;
    case 1:
      if (at < text.size()) text[at] = static_cast<char>(Below(256));
      break;
    case 2:
      text.erase(at, length);
      break;
    case 3:
      text.insert(at, std::string(text, at, length));
      break;
    case 4:
      text.insert(Below(text.size() + 1), std::string(text, at, length));
      break;
    case 5: {
      const size_t from = Below(other.size() + 1);
      text.insert(at, other.substr(from, Below(100)));
      break;
    }
    case 6:
      if (!tokens_.empty()) text.insert(at, tokens_[Below(tokens_.size())]);
      break;
    case 7:
      text.insert(at, Below(300), static_cast<char>(OneIn(2) ? '[' : Below(256)));
      break;
    case 8:
      if (OneIn(4)) text.resize(at);
      break;
  }
}

json Mutator::Json(json value) {
  for (size_t left = 1 + Below(kMostChanges); left > 0; --left) ChangeJson(value);
  return value;
}

void Mutator::ChangeJson(json& root) {
  std::vector<json*> nodes;
  AddNodes(root, nodes);
  json& node = *nodes[Below(nodes.size())];
  switch (Below(6)) {
    case 0:
      node = json(*nodes[Below(nodes.size())]);
      break;
    case 1:
    case 2:
      node = Scalar();
      break;
    case 3:
      for (size_t levels = OneIn(20) ? 300 : 1 + Below(3); levels > 0; --levels) {
        node = OneIn(2) ? json::array({node}) : json({{Text(), node}});
      }
      break;
    default:
      ChangeChildren(node);
  }
}

void Mutator::ChangeChildren(json& node) {
  if (!node.is_structured() || node.empty()) {
    node = OneIn(2) ? json::object() : json::array();
    return;
  }
  const auto child = std::next(node.begin(), static_cast<ptrdiff_t>(Below(node.size())));
  json copy = *child;
  if (node.is_array()) {
    OneIn(2) ? node.push_back(std::move(copy)) : static_cast<void>(node.erase(child));
    return;
  }
  switch (Below(3)) {
    case 0:
      node.erase(child);
      break;
    case 1:
      node.erase(child);
      [[fallthrough]];
    default:
      node[Text()] = std::move(copy);
  }
}

json Mutator::Scalar() {
  const json kScalars[] = {nullptr,
                           true,
                           false,
                           json::array(),
                           json::object(),
                           0,
                           1,
                           -1,
                           0.5,
                           2147483647,
                           2147483648,
                           4294967295,
                           9007199254740993,
                           9223372036854775807,
                           INT64_MIN,
                           UINT64_MAX,
                           1e19,
                           -1e300,
                           1.7976931348623157e308,
                           5e-324};
  return OneIn(2) ? json(Text()) : kScalars[Below(std::size(kScalars))];
}

std::string Mutator::Text() {
  constexpr std::string_view kTexts[] = {"",
                                         "-1",
                                         "0",
                                         "4294967296",
                                         "18446744073709551615",
                                         "1e999",
                                         "nan",
                                         "null",
                                         "~",
                                         "2024-05-01T09:30:00Z",
                                         "9999-12-31T23:59:59Z",
                                         "0000-01-01T00:00:00Z",
                                         "a/b\\c: \"d\"\n- e",
                                         "\xF0\x9F\x8D\x87"};
  if (!tokens_.empty() && OneIn(2)) return std::string(tokens_[Below(tokens_.size())]);
  if (OneIn(8)) return std::string("a\0b", 3);
  if (OneIn(8)) {
    static const std::string kLong = LongText();
    return kLong.substr(Below(3));  // where it is cut, a character may be
  }
  return std::string(kTexts[Below(std::size(kTexts))]);
}

}  // namespace grapevine::fuzz
