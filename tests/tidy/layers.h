#pragma once

#include "tests/tidy/source_tree.h"

namespace grapevine::tidy {

// The layer law: a file includes its own folder, lower floors, and of its own floor only what the
// table in layers.cc grants. Adapters (F3) never include each other and only the assembly (the
// files that lie directly in operator/ and worker/) names them. The worker uses operator/api and
// operator/base and nothing else of the operator; the operator uses nothing of the worker. Tests
// may include everything.
Findings CheckIncludes(const SourceTree& tree);

// Each folder links what it includes and nothing else: its CMakeLists.txt states the same law.
Findings CheckLinks(const SourceTree& tree);

// What only some folders may include of the outside: gRPC, Prometheus, oneDNN, curses, CLI11; and
// what pure logic (F1) may not: threads, files, logs, clocks.
Findings CheckOutside(const SourceTree& tree);

// The floor of a file of operator/ or worker/; -1 for one that has no room.
int FloorOf(std::string_view path);

}  // namespace grapevine::tidy
