#pragma once

#include "tests/tidy/source_tree.h"

namespace grapevine::tidy {

// Sources up to 600 lines, headers 250, tests 700; lines up to 100 columns.
Findings CheckSizes(const SourceTree& tree);

// Functions aim at 70 lines; above 100 is a finding. Relies on the project's format: a function
// begins at the first column, or the third within a class, and ends at the brace that closes there.
Findings CheckFunctions(const SourceTree& tree);

}  // namespace grapevine::tidy
