#pragma once

#include <stdexcept>
#include <string>

namespace grapevine::fuzz {

// What must hold for any input.
inline void Require(bool holds, const std::string& what) {
  if (!holds) throw std::logic_error(what);
}

}  // namespace grapevine::fuzz
