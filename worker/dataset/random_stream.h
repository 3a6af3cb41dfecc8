#pragma once

#include <cstdint>

namespace grapevine::dataset {

// SplitMix64 (Steele et al., 2014): a few instructions a number, seeded by up to three keys, and
// the same bits on every machine and with every standard library, which std::shuffle and the
// distributions of <random> do not promise. Not for secrets.
//
// Thread-compatible.
class RandomStream {
 public:
  explicit RandomStream(uint64_t key, uint64_t key2 = 0, uint64_t key3 = 0)
      : state_(Mix(Mix(Mix(key) ^ key2) ^ key3)) {}

  uint64_t Next() { return Mix(state_ += kGamma); }

  // Uniform in [0, bound), but for a bias below bound / 2^32. REQUIRES: 0 < bound < 2^32.
  uint32_t Below(uint64_t bound) { return static_cast<uint32_t>(((Next() >> 32) * bound) >> 32); }

  // Uniform in [-1, 1), a multiple of 2^-23.
  float Symmetric() { return static_cast<float>(static_cast<int64_t>(Next()) >> 40) * 0x1p-23f; }

 private:
  static constexpr uint64_t kGamma = 0x9e3779b97f4a7c15;

  static uint64_t Mix(uint64_t z) {
    z += kGamma;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  uint64_t state_;
};

}  // namespace grapevine::dataset
