#include "tests/tidy/names.h"

#include <algorithm>
#include <cctype>

#include "fmt/format.h"

namespace grapevine::tidy {
namespace {

constexpr std::string_view kBanned[] = {
    "util",    "utils",   "helper", "helpers", "common",  "misc",
    "manager", "handler", "impl",   "info",    "context",
};

bool IsCode(std::string_view path) {
  return (path.starts_with("operator/") || path.starts_with("worker/") || IsTest(path)) &&
         (IsHeader(path) || IsSource(path));
}

// peer_sampler and PeerSampler -> {peer, sampler}.
std::vector<std::string> Parts(std::string_view name) {
  std::vector<std::string> parts(1);
  for (const char c : name) {
    const auto letter = static_cast<unsigned char>(c);
    if (c == '_' || std::isupper(letter)) parts.emplace_back();
    if (c != '_') parts.back() += static_cast<char>(std::tolower(letter));
  }
  std::erase(parts, "");
  return parts;
}

std::string BannedPart(std::string_view name) {
  const auto parts = Parts(name);
  if (parts == std::vector<std::string>{"data"}) return "data";
  for (const std::string& part : parts) {
    if (std::find(std::begin(kBanned), std::end(kBanned), part) != std::end(kBanned)) return part;
  }
  return "";
}

// The type that the line begins to define, or nothing: `class ABSL_LOCKABLE Mutex final : public X
// {`.
std::string DefinedType(const std::string& line) {
  if (line.ends_with(';') && line.find('{') == line.npos) return "";  // only declared
  auto words = WordsOf(line.substr(0, std::min(line.find('{'), line.find(" :"))));
  if (words.size() < 2 || (words[0] != "class" && words[0] != "struct" && words[0] != "enum")) {
    return "";
  }
  if (words.back() == "final") words.pop_back();
  return words.back();
}

bool IsTwin(std::string_view path) { return path.find("worker/backend/") != path.npos; }

constexpr std::string_view kSentences[] = {"Immutable", "Thread-compatible", "Thread-safe",
                                           "Lives on "};

// The comment that ends on the line before `line`; a template line in between belongs to the class.
std::string CommentAbove(const std::vector<std::string>& lines, std::size_t line) {
  std::size_t first = line;
  while (first > 0 &&
         (lines[first - 1].starts_with("template") || lines[first - 1].starts_with("//"))) {
    --first;
  }
  std::string comment;
  for (; first < line; ++first) {
    if (lines[first].starts_with("//")) comment += lines[first].substr(2);
  }
  return comment;
}

bool SaysWhoMayCall(std::string_view comment) {
  return std::any_of(std::begin(kSentences), std::end(kSentences), [&](std::string_view sentence) {
    return comment.find(sentence) != comment.npos;
  });
}

}  // namespace

Findings CheckNames(const SourceTree& tree) {
  Findings findings;
  for (const auto& [path, text] : tree) {
    if (!IsCode(path)) continue;
    if (const std::string part = BannedPart(StemOf(path)); !part.empty()) {
      findings.push_back(fmt::format("{}:1: '{}' names nothing", path, part));
    }
    int number = 0;
    for (const std::string& line : LinesOf(text)) {
      ++number;
      const std::string type = DefinedType(Trimmed(line));
      if (const std::string part = BannedPart(type); !part.empty()) {
        findings.push_back(
            fmt::format("{}:{}: '{}' in {} names nothing", path, number, part, type));
      }
      if (type.size() > 2 && type[0] == 'I' && std::isupper(static_cast<unsigned char>(type[1])) &&
          std::islower(static_cast<unsigned char>(type[2]))) {
        findings.push_back(
            fmt::format("{}:{}: {}: an interface takes the plain noun", path, number, type));
      }
    }
  }
  return findings;
}

Findings CheckUniqueFiles(const SourceTree& tree) {
  Findings findings;
  std::map<std::string, std::string> first;
  for (const auto& [path, text] : tree) {
    const std::string file = FileOf(path);
    if (!IsCode(path) || IsTwin(path) || file == "main.cc" || file == "probe.h") continue;
    const auto [other, is_new] = first.emplace(file, path);
    if (!is_new) findings.push_back(fmt::format("{}:1: {} is there already", path, other->second));
  }
  return findings;
}

Findings CheckThreadSentences(const SourceTree& tree) {
  Findings findings;
  for (const auto& [path, text] : tree) {
    if (!IsCode(path) || !IsHeader(path) || IsTest(path)) continue;
    const auto lines = LinesOf(text);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      if (!lines[i].starts_with("class ") || DefinedType(lines[i]).empty()) continue;
      if (SaysWhoMayCall(CommentAbove(lines, i))) continue;
      findings.push_back(fmt::format("{}:{}: {} does not say which threads may call it", path,
                                     i + 1, DefinedType(lines[i])));
    }
  }
  return findings;
}

}  // namespace grapevine::tidy
