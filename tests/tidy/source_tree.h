#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace grapevine::tidy {

// The project's text files by path from its root, with '/' between folders. A test builds a small
// one by hand: that is how each check shows that it can fail.
using SourceTree = std::map<std::string, std::string>;

// One line per finding: "path:line: what is wrong". Empty means tidy.
using Findings = std::vector<std::string>;

// Reads operator/, worker/, tests/ and cmake/ and the files at the root. Build folders are
// elsewhere.
SourceTree LoadSourceTree(const std::string& root);

// The tree that this binary was built from.
const SourceTree& ThisProject();

bool IsHeader(std::string_view path);  // .h
bool IsSource(std::string_view path);  // .cc
bool IsTest(std::string_view path);    // anything under tests/

std::string FolderOf(std::string_view path);  // "a/b/c.h" -> "a/b"
std::string FileOf(std::string_view path);    // "a/b/c.h" -> "c.h"
std::string StemOf(std::string_view path);    // "a/b/c.h" -> "c"

std::vector<std::string> LinesOf(std::string_view text);
// The words between separators: what is neither a letter, a digit nor one of "_-./+:".
std::vector<std::string> WordsOf(std::string_view text);
std::string Trimmed(std::string_view line);

struct Include {
  std::string path;  // without quotes or brackets
  int line;          // from 1
};
std::vector<Include> IncludesOf(std::string_view text);

// The arguments of each call of `command` in a CMake file, comments left out:
// CallsOf("grapevine_test", text)[0] = {"graph_test", "SOURCES", "a_test.cc", …}.
std::vector<std::vector<std::string>> CallsOf(std::string_view command, std::string_view cmake);

}  // namespace grapevine::tidy
