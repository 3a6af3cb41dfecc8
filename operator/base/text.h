#pragma once

#include <cstddef>
#include <string_view>

namespace grapevine {

// The first `most` bytes of UTF-8 text at most, cut before a character rather than within one: who
// checks what he is sent, as the API server does, takes no half ones.
inline std::string_view Beginning(std::string_view text, size_t most) {
  if (text.size() <= most) return text;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0) == 0x80) --most;
  return text.substr(0, most);
}

}  // namespace grapevine
