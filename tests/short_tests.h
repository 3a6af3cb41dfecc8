#pragma once

#include <cstdlib>

namespace grapevine {

// Sanitizers slow everything down ten times: what only repeats is repeated less under their
// presets.
inline bool ShortTests() { return std::getenv("GRAPEVINE_TEST_SHORT") != nullptr; }

}  // namespace grapevine
