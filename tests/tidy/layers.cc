#include "tests/tidy/layers.h"

#include <algorithm>
#include <set>

#include "fmt/format.h"

namespace grapevine::tidy {
namespace {

// F0 values, F1 pure logic, F2 engines, F3 adapters, F4 assembly.
struct Room {
  std::string_view path;  // a folder, or the beginning of a file's path where one file differs
  int floor;
  std::vector<std::string_view> same_floor;  // rooms of its own floor that it may include
};

const std::vector<Room>& Rooms() {
  static const std::vector<Room> rooms{
      {"operator", 4, {"operator/assembly"}},
      {"operator/base", 0, {}},
      {"operator/api", 0, {"operator/base"}},
      {"operator/graph", 1, {}},
      {"operator/membership", 1, {}},
      {"operator/progress", 1, {}},
      {"operator/controller", 2, {}},
      {"operator/topology", 2, {}},
      {"operator/training_job", 2, {"operator/controller", "operator/topology"}},
      {"operator/local", 3, {}},
      {"operator/grpc", 3, {}},
      {"operator/console", 3, {}},
      {"operator/metrics", 3, {}},
      {"operator/health", 3, {}},
      {"operator/kube", 3, {}},
      {"operator/assembly", 4, {}},
      {"worker", 4, {"worker/assembly"}},
      {"worker/gossip", 1, {}},
      {"worker/gossip/driver", 2, {"worker/gossip/chunk_pool", "worker/store", "worker/transport"}},
      {"worker/gossip/chunk_pool", 2, {}},
      {"worker/store", 2, {}},
      {"worker/store/parameter_layout", 1, {}},
      {"worker/transport", 2, {}},
      {"worker/transport/grpc", 3, {}},
      {"worker/backend", 2, {}},
      {"worker/backend/reference", 2, {"worker/backend"}},
      {"worker/backend/onednn", 3, {}},
      {"worker/nn", 2, {"worker/backend", "worker/store"}},
      {"worker/optimizer", 2, {}},
      {"worker/dataset", 2, {}},
      {"worker/algorithm", 2, {"worker/gossip/driver", "worker/store", "worker/optimizer"}},
      {"worker/train",
       2,
       {"worker/algorithm", "worker/backend", "worker/dataset", "worker/nn", "worker/optimizer",
        "worker/store"}},
      {"worker/checkpoint", 3, {}},
      {"worker/control", 3, {}},
      {"worker/metrics", 3, {}},
      {"worker/assembly", 4, {}},
  };
  return rooms;
}

bool StartsWithPart(std::string_view path, std::string_view part) {
  return path.starts_with(part) &&
         (path.size() == part.size() || path[part.size()] == '/' || path[part.size()] == '.');
}

// The innermost room of a file, or null: for tests, libraries, and folders that the table lacks.
const Room* RoomOf(std::string_view path) {
  const Room* innermost = nullptr;
  for (const Room& room : Rooms()) {
    const bool inside =
        room.floor == 4 ? FolderOf(path) == room.path : StartsWithPart(path, room.path);
    if (inside && (innermost == nullptr || room.path.size() > innermost->path.size())) {
      innermost = &room;
    }
  }
  return innermost;
}

bool IsOurs(std::string_view path) {
  return path.starts_with("operator/") || path.starts_with("worker/");
}

// Why `from` may not include `to`; empty where it may.
std::string Objection(const Room& from, const Room& to) {
  const bool worker = from.path.starts_with("worker");
  if (worker && to.path.starts_with("operator") && to.floor != 0) {
    return "the worker uses only operator/api and operator/base of the operator";
  }
  if (!worker && to.path.starts_with("worker")) return "the operator uses nothing of the worker";
  if (from.path == to.path || to.floor < from.floor) return "";
  if (to.floor > from.floor) {
    return fmt::format("F{} must not look up to F{}", from.floor, to.floor);
  }
  if (to.floor == 3) return "adapters never include each other";
  const bool granted =
      std::find(from.same_floor.begin(), from.same_floor.end(), to.path) != from.same_floor.end();
  return granted ? "" : fmt::format("not granted on F{}", from.floor);
}

// operator_api_proto -> operator/api: the longest folder whose name the target begins with.
std::string FolderOfTarget(std::string_view target) {
  std::string longest;
  for (const Room& room : Rooms()) {
    std::string name(room.path);
    std::replace(name.begin(), name.end(), '/', '_');
    const bool named =
        target.starts_with(name) && (target.size() == name.size() || target[name.size()] == '_');
    if (room.floor != 4 && named && room.path.size() > longest.size()) longest = room.path;
  }
  // The driver's room is a file, not a folder.
  return longest == "worker/gossip/driver" ? "worker/gossip" : longest;
}

std::set<std::string> LinkedFolders(std::string_view cmake) {
  std::set<std::string> folders;
  for (const char* command : {"grapevine_library", "target_link_libraries"}) {
    for (const auto& call : CallsOf(command, cmake)) {
      for (const std::string& word : call) folders.insert(FolderOfTarget(word));
    }
  }
  folders.erase("");
  return folders;
}

std::map<std::string, std::set<std::string>> IncludedFolders(const SourceTree& tree) {
  std::map<std::string, std::set<std::string>> included;
  for (const auto& [path, text] : tree) {
    if (!IsOurs(path) || !(IsHeader(path) || IsSource(path))) continue;
    for (const Include& include : IncludesOf(text)) {
      if (IsOurs(include.path)) included[FolderOf(path)].insert(FolderOf(include.path));
    }
  }
  return included;
}

struct Outsider {
  std::string_view header;              // the beginning of what is included
  std::vector<std::string_view> rooms;  // who may; the assembly always may
};

const std::vector<Outsider>& Outsiders() {
  static const std::vector<Outsider> outsiders{
      {"grpc", {"operator/grpc", "worker/transport/grpc", "worker/control"}},
      {"prometheus/", {"operator/base/metrics_exposer", "operator/metrics", "worker/metrics"}},
      {"oneapi/", {"worker/backend/onednn"}},
      {"dnnl", {"worker/backend/onednn"}},
      {"civetweb.h", {"operator/health"}},
      {"cpprest/", {"operator/kube/https"}},
      {"pplx/", {"operator/kube/https"}},
      {"openssl/", {"operator/kube/https"}},
      {"curses.h", {"operator/console"}},
      {"ncurses", {"operator/console"}},
      {"CLI/", {}},
  };
  return outsiders;
}

constexpr std::string_view kImpure[] = {
    "thread",
    "fstream",
    "iostream",
    "filesystem",
    "spdlog/",
    "random_device",
    "unistd.h",
    "operator/base/mutex.h",
    "operator/base/log.h",
};

}  // namespace

int FloorOf(std::string_view path) {
  const Room* room = RoomOf(path);
  return room == nullptr ? -1 : room->floor;
}

Findings CheckIncludes(const SourceTree& tree) {
  Findings findings;
  for (const auto& [path, text] : tree) {
    if (!IsOurs(path) || !(IsHeader(path) || IsSource(path))) continue;
    const Room* from = RoomOf(path);
    if (from == nullptr) {
      findings.push_back(fmt::format("{}:1: its folder has no room in layers.cc", path));
      continue;
    }
    for (const Include& include : IncludesOf(text)) {
      const Room* to = RoomOf(include.path);
      const bool lost = IsOurs(include.path) && to == nullptr;
      const std::string objection = lost ? "its folder has no room in layers.cc"
                                    : to ? Objection(*from, *to)
                                         : "";
      if (objection.empty()) continue;
      findings.push_back(
          fmt::format("{}:{}: includes {}: {}", path, include.line, include.path, objection));
    }
  }
  return findings;
}

Findings CheckLinks(const SourceTree& tree) {
  Findings findings;
  for (const auto& [folder, included] : IncludedFolders(tree)) {
    const auto cmake = tree.find(folder + "/CMakeLists.txt");
    if (cmake == tree.end()) {
      findings.push_back(fmt::format("{}:1: has no CMakeLists.txt", folder));
      continue;
    }
    const Room* room = RoomOf(folder + "/x");
    if (room == nullptr || room->floor == 4) continue;  // executables link what holds the rest
    const std::set<std::string> linked = LinkedFolders(cmake->second);
    for (const std::string& other : included) {
      if (other == folder || linked.contains(other)) continue;
      findings.push_back(fmt::format("{}:1: includes {}, links it not", cmake->first, other));
    }
    for (const std::string& other : linked) {
      if (other == folder || included.contains(other)) continue;
      findings.push_back(
          fmt::format("{}:1: links {}, includes nothing of it", cmake->first, other));
    }
  }
  return findings;
}

Findings CheckOutside(const SourceTree& tree) {
  Findings findings;
  for (const auto& [path, text] : tree) {
    const Room* room = IsOurs(path) ? RoomOf(path) : nullptr;
    if (room == nullptr || room->floor == 4 || !(IsHeader(path) || IsSource(path))) continue;
    const auto may = [&path = path](const Outsider& outsider) {
      return std::any_of(outsider.rooms.begin(), outsider.rooms.end(),
                         [&](std::string_view allowed) { return StartsWithPart(path, allowed); });
    };
    for (const Include& include : IncludesOf(text)) {
      for (const Outsider& outsider : Outsiders()) {
        if (!include.path.starts_with(outsider.header) || may(outsider)) continue;
        findings.push_back(
            fmt::format("{}:{}: may not include {}", path, include.line, include.path));
      }
      for (const std::string_view impure : kImpure) {
        if (room->floor != 1 || !include.path.starts_with(impure)) continue;
        findings.push_back(
            fmt::format("{}:{}: pure logic includes {}", path, include.line, include.path));
      }
    }
  }
  return findings;
}

}  // namespace grapevine::tidy
