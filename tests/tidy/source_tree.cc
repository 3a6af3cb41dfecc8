#include "tests/tidy/source_tree.h"

#include <cctype>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace grapevine::tidy {
namespace {

namespace fs = std::filesystem;

void Load(const fs::path& file, const fs::path& root, SourceTree& tree) {
  std::ostringstream text;
  text << std::ifstream(file, std::ios::binary).rdbuf();
  tree[file.lexically_relative(root).generic_string()] = std::move(text).str();
}

bool IsText(const fs::path& file) {
  for (const char* kind : {".h", ".cc", ".proto", ".txt", ".cmake", ".md", ".py", ".sh", ".yaml"}) {
    if (file.extension() == kind) return true;
  }
  return !file.has_extension();
}

std::string WithoutComments(std::string_view cmake) {
  std::string code;
  for (const std::string& line : LinesOf(cmake)) code += line.substr(0, line.find('#')) + "\n";
  return code;
}

}  // namespace

SourceTree LoadSourceTree(const std::string& root) {
  SourceTree tree;
  for (const char* folder : {"operator", "worker", "tests", "cmake"}) {
    if (!fs::exists(fs::path(root) / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(root) / folder)) {
      if (entry.is_regular_file() && IsText(entry.path())) Load(entry.path(), root, tree);
    }
  }
  for (const auto& entry : fs::directory_iterator(root)) {
    if (entry.is_regular_file() && IsText(entry.path())) Load(entry.path(), root, tree);
  }
  return tree;
}

const SourceTree& ThisProject() {
  static const SourceTree tree = LoadSourceTree(GRAPEVINE_SOURCE_ROOT);
  return tree;
}

bool IsHeader(std::string_view path) { return path.ends_with(".h"); }
bool IsSource(std::string_view path) { return path.ends_with(".cc"); }
bool IsTest(std::string_view path) { return path.starts_with("tests/"); }

std::string FolderOf(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == path.npos ? "" : std::string(path.substr(0, slash));
}

std::string FileOf(std::string_view path) {
  const auto slash = path.rfind('/');
  return std::string(slash == path.npos ? path : path.substr(slash + 1));
}

std::string StemOf(std::string_view path) {
  const std::string file = FileOf(path);
  return file.substr(0, file.rfind('.'));
}

std::vector<std::string> LinesOf(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const auto end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
  }
  return lines;
}

std::vector<std::string> WordsOf(std::string_view text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) ||
        std::string_view("_-./+:").find(c) != std::string_view::npos) {
      words.back() += c;
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

std::string Trimmed(std::string_view line) {
  const auto begin = line.find_first_not_of(" \t");
  if (begin == line.npos) return "";
  return std::string(line.substr(begin, line.find_last_not_of(" \t") - begin + 1));
}

std::vector<Include> IncludesOf(std::string_view text) {
  std::vector<Include> includes;
  int number = 0;
  for (const std::string& line : LinesOf(text)) {
    ++number;
    if (!line.starts_with("#include ")) continue;
    const auto begin = line.find_first_of("\"<");
    const auto end = line.find_last_of("\">");
    if (begin != line.npos && end > begin) {
      includes.push_back({line.substr(begin + 1, end - begin - 1), number});
    }
  }
  return includes;
}

std::vector<std::vector<std::string>> CallsOf(std::string_view command, std::string_view cmake) {
  const std::string code = WithoutComments(cmake);
  const std::string opening = std::string(command) + "(";
  std::vector<std::vector<std::string>> calls;
  for (auto at = code.find(opening); at != code.npos; at = code.find(opening, at + 1)) {
    if (at > 0 && (std::isalnum(static_cast<unsigned char>(code[at - 1])) || code[at - 1] == '_')) {
      continue;
    }
    const auto begin = at + opening.size();
    calls.push_back(WordsOf(std::string_view(code).substr(begin, code.find(')', begin) - begin)));
  }
  return calls;
}

}  // namespace grapevine::tidy
