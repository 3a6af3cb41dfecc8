#include "tests/tidy/sizes.h"

#include <algorithm>

#include "fmt/format.h"

namespace grapevine::tidy {
namespace {

constexpr int kSourceLines = 600;
constexpr int kHeaderLines = 250;
constexpr int kTestLines = 700;
constexpr int kFunctionLines = 100;
constexpr int kColumns = 100;

bool IsCode(std::string_view path) { return IsHeader(path) || IsSource(path); }

int Columns(std::string_view line) {  // UTF-8 bytes that begin a character
  return static_cast<int>(std::count_if(line.begin(), line.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::size_t Indent(std::string_view line) {
  return std::min(line.find_first_not_of(' '), line.size());
}

// Whether the line ends the head of a function: `…) {`, `…) const {`, but not a statement's.
bool OpensFunction(std::string_view line) {
  if (!line.ends_with('{') || line.find(')') == line.npos) return false;
  const std::string code = Trimmed(line);
  for (const char* statement :
       {"if ", "for ", "while ", "switch ", "do ", "} ", "namespace ", "//"}) {
    if (code.starts_with(statement)) return false;
  }
  return true;
}

}  // namespace

Findings CheckSizes(const SourceTree& tree) {
  Findings findings;
  for (const auto& [path, text] : tree) {
    if (!IsCode(path)) continue;
    const auto lines = LinesOf(text);
    const int count = static_cast<int>(lines.size());
    const int most = IsTest(path) ? kTestLines : IsHeader(path) ? kHeaderLines : kSourceLines;
    if (count > most)
      findings.push_back(fmt::format("{}:{}: more than {} lines", path, count, most));
    for (int i = 0; i < count; ++i) {
      if (Columns(lines[i]) <= kColumns) continue;
      findings.push_back(fmt::format("{}:{}: more than {} columns", path, i + 1, kColumns));
    }
  }
  return findings;
}

Findings CheckFunctions(const SourceTree& tree) {
  Findings findings;
  for (const auto& [path, text] : tree) {
    if (!IsCode(path)) continue;
    const auto lines = LinesOf(text);
    for (std::size_t begin = 0; begin < lines.size(); ++begin) {
      if (!OpensFunction(lines[begin])) continue;
      // A head that goes over several lines begins further left than it ends.
      std::size_t head = begin;
      while (head > 0 && Indent(lines[head]) > 2 && !lines[head - 1].empty() &&
             !lines[head - 1].ends_with(';') && !lines[head - 1].ends_with('{')) {
        --head;
      }
      const std::string closing = std::string(Indent(lines[head]), ' ') + "}";
      std::size_t end = begin + 1;
      while (end < lines.size() && !lines[end].starts_with(closing)) ++end;
      const auto length = end - head + 1;
      if (length > kFunctionLines) {
        findings.push_back(fmt::format("{}:{}: a function of {} lines", path, head + 1, length));
      }
    }
  }
  return findings;
}

}  // namespace grapevine::tidy
