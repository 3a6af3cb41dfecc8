#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <string_view>

#include "nlohmann/json.hpp"

namespace grapevine::fuzz {

// Makes broken input out of good input. The same seed makes the same on every machine.
// Thread-compatible.
class Mutator {
 public:
  // `tokens`: words that mean something to the reader, set in here and there.
  Mutator(uint64_t seed, std::span<const std::string_view> tokens) : rng_(seed), tokens_(tokens) {}

  // From 0 to `end` - 1. REQUIRES: end > 0.
  size_t Below(size_t end) { return rng_() % end; }
  bool OneIn(size_t n) { return Below(n) == 0; }

  // One to four times: a bit, a byte, a piece cut out, doubled, moved or put in from `other`, a
  // token, the rest cut off.
  std::string Bytes(std::string text, std::string_view other);
  // One to four times: a node taken away, doubled, renamed, exchanged for another one, for another
  // type, an extreme number, a strange text, or wrapped in many levels.
  nlohmann::json Json(nlohmann::json value);

 private:
  void ChangeBytes(std::string& text, std::string_view other);
  void ChangeJson(nlohmann::json& root);
  void ChangeChildren(nlohmann::json& node);
  nlohmann::json Scalar();
  std::string Text();

  std::mt19937_64 rng_;
  const std::span<const std::string_view> tokens_;
};

}  // namespace grapevine::fuzz
