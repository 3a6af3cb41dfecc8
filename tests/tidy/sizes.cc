#include "tests/tidy/sizes.h"

#include <algorithm>
#include <initializer_list>

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

bool BeginsAt(std::size_t indent, std::string_view line) {
  return line.find_first_not_of(' ') == indent && line[indent] != '#' && line[indent] != '}' &&
         !line.substr(indent).starts_with("//");
}

bool StartsWithAny(std::string_view line, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(),
                     [line](std::string_view word) { return line.starts_with(word); });
}

struct Statement {
  std::string text;
  std::size_t last;  // its last line, up to the brace that opens its body
};

Statement StatementFrom(const std::vector<std::string>& lines, std::size_t first) {
  Statement statement{Trimmed(lines[first]), first};
  while (statement.last + 1 < lines.size() && !statement.text.empty() &&
         std::string_view("{};").find(statement.text.back()) == std::string_view::npos) {
    statement.text += " " + Trimmed(lines[++statement.last]);
  }
  return statement;
}

bool OpensFunction(std::string_view statement) {
  return statement.ends_with('{') && !statement.ends_with("= {") &&
         statement.find(')') != statement.npos &&
         !StartsWithAny(statement,
                        {"namespace ", "class ", "struct ", "enum ", "union ", "extern "});
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
    bool in_class = false;
    for (std::size_t begin = 0; begin < lines.size(); ++begin) {
      if (StartsWithAny(lines[begin], {"class ", "struct "}))
        in_class = lines[begin].ends_with('{');
      if (lines[begin].starts_with('}')) in_class = false;
      const std::size_t indent = in_class ? 2 : 0;
      if (!BeginsAt(indent, lines[begin])) continue;
      const Statement head = StatementFrom(lines, begin);
      if (!OpensFunction(head.text)) continue;
      const std::string closing = std::string(indent, ' ') + "}";
      std::size_t end = head.last + 1;
      while (end < lines.size() && !lines[end].starts_with(closing)) ++end;
      const auto length = end - begin + 1;
      if (length > kFunctionLines) {
        findings.push_back(fmt::format("{}:{}: a function of {} lines", path, begin + 1, length));
      }
      begin = end;
    }
  }
  return findings;
}

}  // namespace grapevine::tidy
