#include "worker/gossip/average.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace grapevine::gossip {
namespace {

using Bytes = std::vector<std::byte>;
using Spans = std::vector<std::span<const std::byte>>;

constexpr Encoding kAll[] = {Encoding::kFloat32, Encoding::kBFloat16, Encoding::kInt8};
// Around the widths of vectors, tiles, blocks and sums.
constexpr size_t kSizes[] = {1,    2,    3,    15,   16,   17,   31,   1023,  1024,          1025,
                             2047, 2048, 2049, 4095, 4096, 4097, 8192, 12345, kChunkElements};

std::vector<float> Random(size_t n, uint32_t seed, float scale = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> values(n);
  for (float& v : values) v = normal(random);
  return values;
}

Bytes Encoded(Encoding encoding, const std::vector<float>& values) {
  Bytes bytes(PayloadBytes(encoding, values.size()));
  Encode(encoding, values, bytes);
  return bytes;
}

// The dumb twin: one element after the other, as the header words it.
std::vector<float> Decoded(Encoding encoding, const Bytes& bytes, size_t n) {
  std::vector<float> values(n);
  size_t at = 0;
  float scale = 0;
  for (size_t i = 0; i < n; ++i) {
    if (encoding == Encoding::kFloat32) std::memcpy(&values[i], &bytes[4 * i], 4);
    if (encoding == Encoding::kBFloat16) {
      uint16_t half;
      std::memcpy(&half, &bytes[2 * i], 2);
      values[i] = std::bit_cast<float>(static_cast<uint32_t>(half) << 16);
    }
    if (encoding == Encoding::kInt8) {
      if (i % kInt8Block == 0) {
        std::memcpy(&scale, &bytes[at], 4);
        at += 4;
      }
      values[i] = scale * static_cast<float>(static_cast<int8_t>(bytes[at++]));
    }
  }
  return values;
}

// Cuts at random places, some of them next to each other, with an empty piece now and then.
Spans Cut(const Bytes& bytes, uint32_t seed) {
  std::mt19937 random(seed);
  Spans pieces;
  std::span<const std::byte> rest(bytes);
  while (!rest.empty()) {
    const size_t longest = random() % 3 == 0 ? 5 : 20'000;
    const size_t size = std::min<size_t>(random() % longest, rest.size());
    pieces.push_back(rest.first(size));
    rest = rest.subspan(size);
  }
  return pieces;
}

uint32_t Checksum(const Bytes& bytes) { return Crc32c(bytes); }

TEST(Average, TheChecksumIsTheStandardOne) {
  const char digits[] = "123456789";
  const auto bytes = std::as_bytes(std::span(digits)).first(9);
  EXPECT_EQ(Crc32c(bytes), 0xE3069283u);
  EXPECT_EQ(Crc32c(bytes.subspan(4), Crc32c(bytes.first(4))), 0xE3069283u);
  EXPECT_EQ(Crc32c({}), 0u);
  EXPECT_EQ(Crc32c(Bytes(32, std::byte{0})), 0x8A9136AAu);
}

TEST(Average, NoEncodingOfAChunkIsLongerThanAPayloadMayBe) {
  for (Encoding encoding : kAll) {
    EXPECT_LE(PayloadBytes(encoding, kChunkElements), kMaxPayloadBytes);
  }
}

TEST(Average, EncodingIsAsNearAsItSays) {
  for (size_t n : kSizes) {
    const auto x = Random(n, 1);
    EXPECT_EQ(Decoded(Encoding::kFloat32, Encoded(Encoding::kFloat32, x), n), x);
    const auto half = Decoded(Encoding::kBFloat16, Encoded(Encoding::kBFloat16, x), n);
    const auto codes = Decoded(Encoding::kInt8, Encoded(Encoding::kInt8, x), n);
    for (size_t i = 0; i < n; ++i) {
      ASSERT_LE(std::abs(half[i] - x[i]), std::abs(x[i]) / 256) << i;
      const size_t block = i / kInt8Block * kInt8Block;
      float absmax = 0;
      for (size_t j = block; n < 20'000 && j < std::min(n, block + kInt8Block); ++j) {
        absmax = std::max(absmax, std::abs(x[j]));
      }
      if (n < 20'000) {
        ASSERT_LE(std::abs(codes[i] - x[i]), absmax / 254 * 1.0001f) << i;
      }
    }
  }
}

TEST(Average, BFloat16RoundsToNearestEven) {
  const auto encoded = [](uint32_t bits) {
    const auto bytes = Encoded(Encoding::kBFloat16, {std::bit_cast<float>(bits)});
    uint16_t half;
    std::memcpy(&half, bytes.data(), 2);
    return half;
  };
  EXPECT_EQ(encoded(0x3F808000), 0x3F80);  // half-way, even below
  EXPECT_EQ(encoded(0x3F818000), 0x3F82);  // half-way, even above
  EXPECT_EQ(encoded(0x3F808001), 0x3F81);
  EXPECT_EQ(encoded(0x80000000), 0x8000);
  EXPECT_EQ(encoded(0x7FFFFFFF) & 0x7F80, 0x7F80);  // a NaN does not become a number
  EXPECT_EQ(encoded(0xFFFF8001) & 0x7F80, 0x7F80);
}

TEST(Average, Int8CarriesZerosAndTheSmallestAndLargestNumbers) {
  const float kMax = std::numeric_limits<float>::max();
  const float kDenormal = std::numeric_limits<float>::denorm_min();
  for (const std::vector<float>& x : {std::vector<float>{0, -0.0f, 0},
                                      {kDenormal, 0, -kDenormal},
                                      {kMax * 0.98f, -kMax * 0.98f, kMax / 2},
                                      {1e-37f, 0}}) {
    const auto bytes = Encoded(Encoding::kInt8, x);
    EXPECT_EQ(Verify(Encoding::kInt8, x.size(), Checksum(bytes), Spans{bytes}), Soundness::kSound);
    const auto back = Decoded(Encoding::kInt8, bytes, x.size());
    for (size_t i = 0; i < x.size(); ++i) {
      EXPECT_NEAR(back[i] / kMax, x[i] / kMax, 0.004) << x[i];
    }
  }
  // One code more than fits would be infinite on the other side.
  const auto bytes = Encoded(Encoding::kInt8, {kMax, 1});
  EXPECT_EQ(Verify(Encoding::kInt8, 2, Checksum(bytes), Spans{bytes}), Soundness::kNotFinite);
}

TEST(Average, MixingIsWhatTheDumbTwinSaysWhereverThePayloadIsCut) {
  for (Encoding encoding : kAll) {
    for (size_t n : kSizes) {
      const auto own = Encoded(encoding, Random(n, 1)), peer = Encoded(encoding, Random(n, 2));
      const auto a = Decoded(encoding, own, n), b = Decoded(encoding, peer, n);
      const auto before = Random(n, 3);
      for (uint32_t seed = 0; seed < (n > 20'000 ? 2 : 8); ++seed) {
        const Spans pieces = seed == 0 ? Spans{peer} : Cut(peer, seed);
        auto x = before;
        const MixResult sums = MixInto(x, encoding, own, pieces);
        double distance_sq = 0, norm_sq = 0;
        for (size_t i = 0; i < n; ++i) {
          const float expected = before[i] + (b[i] * 0.5f - a[i] * 0.5f);
          ASSERT_FLOAT_EQ(x[i], expected) << i << " of " << n;
          distance_sq += (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
          norm_sq += static_cast<double>(a[i]) * a[i];
        }
        EXPECT_NEAR(sums.distance_sq, distance_sq, 1e-4 * distance_sq + 1e-12);
        EXPECT_NEAR(sums.norm_sq, norm_sq, 1e-4 * norm_sq + 1e-12);
      }
    }
  }
}

TEST(Average, BothEndsTogetherKeepTheSumHoweverLossyTheEncoding) {
  for (Encoding encoding : kAll) {
    const size_t n = 10'000;
    auto x = Random(n, 1, 10), y = Random(n, 2, 0.1f);
    const auto x0 = x, y0 = y;
    const auto from_x = Encoded(encoding, x), from_y = Encoded(encoding, y);
    // Gradients land between snapshot and mix.
    const auto g = Random(n, 3, 0.01f);
    for (size_t i = 0; i < n; ++i) x[i] += g[i];
    MixInto(x, encoding, from_x, Cut(from_y, 1));
    MixInto(y, encoding, from_y, Cut(from_x, 2));
    for (size_t i = 0; i < n; ++i) {
      const double before = static_cast<double>(x0[i]) + y0[i] + g[i];
      ASSERT_NEAR(static_cast<double>(x[i]) + y[i], before, 4e-6 * std::max(1.0, std::abs(before)));
    }
  }
}

TEST(Average, TheDistanceOfTheLargestNumbersDoesNotPoisonTheModel) {
  const float kMax = std::numeric_limits<float>::max();
  std::vector<float> x(40, kMax);
  const auto own = Encoded(Encoding::kFloat32, x);
  const auto peer = Encoded(Encoding::kFloat32, std::vector<float>(40, -kMax));
  MixInto(x, Encoding::kFloat32, own, Spans{peer});
  for (float v : x) EXPECT_EQ(v, 0.0f);
}

TEST(Average, ValuesThatAreNotFiniteAreRefused) {
  const float kBad[] = {
      std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
      std::numeric_limits<float>::quiet_NaN(), std::bit_cast<float>(uint32_t{0xFF800001})};
  for (Encoding encoding : kAll) {
    for (float bad : kBad) {
      for (size_t at : {size_t{0}, size_t{17}, size_t{4096}, size_t{4999}}) {
        auto x = Random(5000, 1);
        x[at] = bad;
        const auto bytes = Encoded(encoding, x);
        EXPECT_EQ(Verify(encoding, x.size(), Checksum(bytes), Cut(bytes, 1)),
                  Soundness::kNotFinite);
      }
    }
  }
}

TEST(Average, EveryFlippedBitAndWrongLengthIsRefused) {
  for (Encoding encoding : kAll) {
    for (size_t n : {size_t{1}, size_t{5}, size_t{4097}, kChunkElements}) {
      auto bytes = Encoded(encoding, Random(n, 1));
      const uint32_t crc = Checksum(bytes);
      for (uint32_t seed = 1; seed < 4; ++seed) {
        EXPECT_EQ(Verify(encoding, n, crc, Cut(bytes, seed)), Soundness::kSound);
      }
      for (size_t at : {size_t{0}, bytes.size() / 2, bytes.size() - 1}) {
        bytes[at] ^= std::byte{1};
        EXPECT_EQ(Verify(encoding, n, crc, Cut(bytes, 5)), Soundness::kWrongChecksum);
        bytes[at] ^= std::byte{1};
      }
      bytes.push_back(std::byte{0});
      EXPECT_EQ(Verify(encoding, n, crc, Spans{bytes}), Soundness::kWrongLength);
      bytes.resize(bytes.size() - 2);
      EXPECT_EQ(Verify(encoding, n, crc, Spans{bytes}), Soundness::kWrongLength);
      EXPECT_EQ(Verify(encoding, n, crc, {}), Soundness::kWrongLength);
    }
  }
}

TEST(Average, GatherJoinsPieces) {
  const auto bytes = Encoded(Encoding::kFloat32, Random(1000, 1));
  Bytes out(bytes.size());
  Gather(Cut(bytes, 3), out);
  EXPECT_EQ(out, bytes);
}

}  // namespace
}  // namespace grapevine::gossip
