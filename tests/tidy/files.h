#pragma once

#include "tests/tidy/source_tree.h"

namespace grapevine::tidy {

// Each header has one `#pragma once`, before anything else.
Findings CheckPragmas(const SourceTree& tree);

// Each source is named in the CMakeLists.txt of its folder, tests too (a test that is not built is
// a lie), and each CMakeLists.txt is reached from the root.
Findings CheckBuilt(const SourceTree& tree);

// Each header of operator/ and worker/ is included by the product, not by its own source and tests
// alone; each header of tests/ by another file there.
Findings CheckHeadersUsed(const SourceTree& tree);

// Each source of the floors F0 to F2 has its mirror, tests/<its folder>/<its name>_test.cc, or its
// header is included by another test of that folder; where several sources share a header, one of
// the folder's will do. A conformance suite over a folder covers all of it. Adapters (F3) are
// tested by suites and by whole processes.
Findings CheckMirrors(const SourceTree& tree);

// Nothing is left for later: the words for that are findings.
Findings CheckFinished(const SourceTree& tree);

}  // namespace grapevine::tidy
