#include "tests/tidy/files.h"

#include <algorithm>
#include <set>

#include "fmt/format.h"
#include "tests/tidy/layers.h"

namespace grapevine::tidy {
namespace {

bool IsProduct(std::string_view path) {
  return path.starts_with("operator/") || path.starts_with("worker/");
}

bool Names(const SourceTree& tree, const std::string& cmake, const std::string& word) {
  const auto file = tree.find(cmake);
  if (file == tree.end()) return false;
  for (const char* command :
       {"grapevine_library", "grapevine_test", "grapevine_cluster_test", "add_executable",
        "add_library", "target_sources", "add_subdirectory"}) {
    for (const auto& call : CallsOf(command, file->second)) {
      if (std::find(call.begin(), call.end(), word) != call.end()) return true;
    }
  }
  return false;
}

// Whether the folder itself or one above names `path`, written from there.
bool NamedFromAbove(const SourceTree& tree, std::string folder, const std::string& path) {
  while (true) {
    const std::string prefix = folder.empty() ? "" : folder + "/";
    if (Names(tree, prefix + "CMakeLists.txt", path.substr(prefix.size()))) return true;
    if (folder.empty()) return false;
    folder = FolderOf(folder);
  }
}

}  // namespace

Findings CheckPragmas(const SourceTree& tree) {
  Findings findings;
  for (const auto& [path, text] : tree) {
    if (!IsHeader(path)) continue;
    const auto lines = LinesOf(text);
    if (lines.empty() || lines[0] != "#pragma once" ||
        std::count(lines.begin(), lines.end(), "#pragma once") != 1) {
      findings.push_back(fmt::format("{}:1: begins with one #pragma once", path));
    }
  }
  return findings;
}

Findings CheckBuilt(const SourceTree& tree) {
  Findings findings;
  for (const auto& [path, text] : tree) {
    const std::string folder = FolderOf(path);
    if (IsSource(path) && !NamedFromAbove(tree, folder, path)) {
      findings.push_back(fmt::format("{}:1: no CMakeLists.txt builds it", path));
    }
    if (FileOf(path) == "CMakeLists.txt" && !folder.empty() &&
        !NamedFromAbove(tree, FolderOf(folder), folder)) {
      findings.push_back(fmt::format("{}:1: no add_subdirectory reaches it", path));
    }
  }
  return findings;
}

// Shipped twins of what the binaries use, for tests and simulations: the oracle and the loopback.
bool IsTwin(std::string_view path) {
  return path.starts_with("worker/backend/reference/") || path == "worker/transport/in_process.h";
}

Findings CheckHeadersUsed(const SourceTree& tree) {
  std::set<std::string> used;
  for (const auto& [path, text] : tree) {
    for (const Include& include : IncludesOf(text)) {
      const bool own =
          FolderOf(path) == FolderOf(include.path) && StemOf(path) == StemOf(include.path);
      const bool counts = IsProduct(path) || IsTest(include.path) || IsTwin(include.path);
      if (!own && counts) used.insert(include.path);
    }
  }
  Findings findings;
  for (const auto& [path, text] : tree) {
    if (IsHeader(path) && !used.contains(path)) {
      findings.push_back(fmt::format("{}:1: nothing uses it", path));
    }
  }
  return findings;
}

Findings CheckMirrors(const SourceTree& tree) {
  std::set<std::string> headers;   // that a test of their own folder includes
  std::set<std::string> mirrored;  // folders with such a header
  std::set<std::string> suites;    // folders of which a conformance suite includes a header
  for (const auto& [path, text] : tree) {
    for (const Include& include : IncludesOf(text)) {
      const std::string folder = FolderOf(include.path);
      if (path.starts_with("tests/conformance/")) suites.insert(folder);
      if (!path.ends_with("_test.cc") || FolderOf(path) != "tests/" + folder) continue;
      headers.insert(include.path);
      mirrored.insert(folder);
    }
  }
  Findings findings;
  for (const auto& [path, text] : tree) {
    const int floor = FloorOf(path);
    if (!IsSource(path) || floor < 0 || floor > 2 || suites.contains(FolderOf(path))) continue;
    const std::string name = FolderOf(path) + "/" + StemOf(path);
    const std::string mirror = "tests/" + name + "_test.cc";
    const bool shared = !tree.contains(name + ".h") && mirrored.contains(FolderOf(path));
    if (shared || headers.contains(name + ".h") || tree.contains(mirror)) continue;
    findings.push_back(fmt::format("{}:1: {} is missing", path, mirror));
  }
  return findings;
}

Findings CheckFinished(const SourceTree& tree) {
  // Written in two halves, so that this file does not find itself.
  static const std::string kLater[] = {std::string("TO") + "DO", std::string("FIX") + "ME",
                                       std::string("X") + "XX", std::string("HA") + "CK"};
  Findings findings;
  for (const auto& [path, text] : tree) {
    int number = 0;
    for (const std::string& line : LinesOf(text)) {
      ++number;
      for (const std::string& word : WordsOf(line)) {
        for (const std::string& later : kLater) {
          if (word != later && word != later + ":") continue;
          findings.push_back(fmt::format("{}:{}: {}: do it or leave it out", path, number, later));
        }
      }
    }
  }
  return findings;
}

}  // namespace grapevine::tidy
