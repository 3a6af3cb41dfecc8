#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace grapevine {

// The first `most` bytes of UTF-8 text at most, cut before a character rather than within one: who
// checks what he is sent, as the API server does, takes no half ones.
inline std::string_view Beginning(std::string_view text, size_t most) {
  if (text.size() <= most) return text;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0) == 0x80) --most;
  return text.substr(0, most);
}

// "1 pod", "2 pods".
inline std::string Counted(int64_t count, std::string_view noun) {
  return std::to_string(count).append(" ").append(noun).append(count == 1 ? "" : "s");
}

}  // namespace grapevine
