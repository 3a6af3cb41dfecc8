#include "worker/gossip/average.h"

#include <isa-l/crc.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "operator/base/check.h"

// One body, compiled for several instruction sets; the loader chooses. Sanitizers cannot follow the
// loader's indirect functions, so under them only the portable body exists.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define GRAPEVINE_KERNEL
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define GRAPEVINE_KERNEL
#endif
#endif
#if !defined(GRAPEVINE_KERNEL) && defined(__x86_64__)
#define GRAPEVINE_KERNEL __attribute__((target_clones("avx512f", "avx2", "default")))
#elif !defined(GRAPEVINE_KERNEL)
#define GRAPEVINE_KERNEL
#endif

namespace grapevine::gossip {
namespace {

// Decoded values of both ends stay in the first-level cache.
constexpr size_t kTile = 2048;
// Bytes that are checksummed and then looked at while still in the first-level cache.
constexpr size_t kVerifyBytes = 16 << 10;
// Partial sums are floats over this many elements, then doubles.
constexpr size_t kSumRun = 1024;

constexpr uint32_t kInfinityBits = 0x7f800000;
constexpr float kLeastScale = 1e-36f;
constexpr uint32_t kSignless = 0x7fffffff;
// 1.5 * 2^23: adding it leaves the rounded integer in the low bits of a small float.
constexpr float kRoundingMagic = 12582912.0f;

// As wide as the registers of AVX2: wider vectors are split badly where there are no wider
// registers, and where there are, memory is the bound.
typedef float Lanes __attribute__((vector_size(32)));
constexpr size_t kLanes = sizeof(Lanes) / sizeof(float);

GRAPEVINE_KERNEL void MixFloats(float* x, const std::byte* own, const std::byte* peer, size_t n,
                                MixResult* sums) {
  size_t i = 0;
  while (i + 2 * kLanes <= n) {
    const size_t stop = std::min(n, i + kSumRun);
    Lanes distance[2] = {}, norm[2] = {};
    for (; i + 2 * kLanes <= stop; i += 2 * kLanes) {
      for (size_t half_row = 0; half_row < 2; ++half_row) {
        const size_t at = i + half_row * kLanes;
        Lanes to, mine, theirs;
        std::memcpy(&to, x + at, sizeof to);
        std::memcpy(&mine, own + at * sizeof(float), sizeof mine);
        std::memcpy(&theirs, peer + at * sizeof(float), sizeof theirs);
        // Halved before the subtraction: exact, and it cannot overflow.
        const Lanes half = theirs * 0.5f - mine * 0.5f;
        to += half;
        distance[half_row] += half * half;
        norm[half_row] += mine * mine;
        std::memcpy(x + at, &to, sizeof to);
      }
    }
    const Lanes distances = distance[0] + distance[1], norms = norm[0] + norm[1];
    for (size_t lane = 0; lane < kLanes; ++lane) {
      sums->distance_sq += 4 * static_cast<double>(distances[lane]);
      sums->norm_sq += static_cast<double>(norms[lane]);
    }
  }
  for (; i < n; ++i) {
    float mine, theirs;
    std::memcpy(&mine, own + i * sizeof(float), sizeof mine);
    std::memcpy(&theirs, peer + i * sizeof(float), sizeof theirs);
    const float half = theirs * 0.5f - mine * 0.5f;
    x[i] += half;
    sums->distance_sq += 4 * static_cast<double>(half) * static_cast<double>(half);
    sums->norm_sq += static_cast<double>(mine) * static_cast<double>(mine);
  }
}

GRAPEVINE_KERNEL void EncodeBFloat16(const float* values, size_t n, std::byte* out) {
  for (size_t i = 0; i < n; ++i) {
    uint32_t bits;
    std::memcpy(&bits, values + i, sizeof bits);
    // What is not finite keeps its exponent and loses its fraction: rounding could carry a NaN
    // around to zero.
    const bool finite = (bits & kSignless) < kInfinityBits;
    const uint32_t rounded = finite ? bits + 0x7fff + ((bits >> 16) & 1) : kInfinityBits;
    const auto half = static_cast<uint16_t>(rounded >> 16);
    std::memcpy(out + i * sizeof half, &half, sizeof half);
  }
}

GRAPEVINE_KERNEL void DecodeBFloat16(const std::byte* bytes, size_t n, float* out) {
  for (size_t i = 0; i < n; ++i) {
    uint16_t half;
    std::memcpy(&half, bytes + i * sizeof half, sizeof half);
    const uint32_t bits = static_cast<uint32_t>(half) << 16;
    std::memcpy(out + i, &bits, sizeof bits);
  }
}

// As bits, so that a NaN is the largest of all.
GRAPEVINE_KERNEL uint32_t LargestBits(const std::byte* values, size_t n) {
  uint32_t largest = 0;
  for (size_t i = 0; i < n; ++i) {
    uint32_t bits;
    std::memcpy(&bits, values + i * sizeof bits, sizeof bits);
    largest = std::max(largest, bits & kSignless);
  }
  return largest;
}

GRAPEVINE_KERNEL uint16_t LargestBFloat16Bits(const std::byte* values, size_t n) {
  uint16_t largest = 0;
  for (size_t i = 0; i < n; ++i) {
    uint16_t bits;
    std::memcpy(&bits, values + i * sizeof bits, sizeof bits);
    largest = std::max<uint16_t>(largest, bits & 0x7fff);
  }
  return largest;
}

GRAPEVINE_KERNEL void EncodeCodes(const float* values, size_t n, float inverse_scale,
                                  std::byte* out) {
  for (size_t i = 0; i < n; ++i) {
    const float shifted = values[i] * inverse_scale + kRoundingMagic;
    uint32_t bits;
    std::memcpy(&bits, &shifted, sizeof bits);
    out[i] = static_cast<std::byte>(bits);
  }
}

GRAPEVINE_KERNEL void DecodeCodes(const std::byte* codes, size_t n, float scale, float* out) {
  for (size_t i = 0; i < n; ++i) {
    out[i] = scale * static_cast<float>(static_cast<int8_t>(codes[i]));
  }
}

// Whether every code times the scale is finite.
bool UsableScale(float scale) { return std::isfinite(scale * 128.0f); }

void EncodeInt8(std::span<const float> values, std::byte* out) {
  while (!values.empty()) {
    const auto block = values.first(std::min(values.size(), kInt8Block));
    const uint32_t largest = LargestBits(std::as_bytes(block).data(), block.size());
    const auto absmax = std::bit_cast<float>(largest);
    float scale = absmax / 127.0f;
    // A block this close to zero has no usable inverse: it travels as zeros.
    if (scale < kLeastScale) scale = 0;
    if (!UsableScale(scale)) scale = std::numeric_limits<float>::quiet_NaN();
    const bool codable = scale > 0;
    std::memcpy(out, &scale, sizeof scale);
    out += sizeof scale;
    if (codable) {
      EncodeCodes(block.data(), block.size(), 127.0f / absmax, out);
    } else {
      std::fill_n(out, block.size(), std::byte{0});
    }
    out += block.size();
    values = values.subspan(block.size());
  }
}

// Hands out a payload in contiguous runs of whole units. Thread-compatible.
class PieceReader {
 public:
  explicit PieceReader(Pieces pieces) : pieces_(pieces) {}

  // The next run: at least one unit of `unit` <= 4 bytes, at most `max_units`. A unit that
  // straddles pieces is a run of its own, put together in scratch memory that lasts until the next
  // call. REQUIRES: a unit is left.
  std::span<const std::byte> Next(size_t unit, size_t max_units) {
    while (rest_.empty()) Advance();
    if (rest_.size() >= unit) {
      const size_t bytes = std::min(max_units, rest_.size() / unit) * unit;
      const auto run = rest_.first(bytes);
      rest_ = rest_.subspan(bytes);
      return run;
    }
    for (size_t got = 0; got < unit;) {
      while (rest_.empty()) Advance();
      const size_t bytes = std::min(unit - got, rest_.size());
      std::memcpy(scratch_ + got, rest_.data(), bytes);
      rest_ = rest_.subspan(bytes);
      got += bytes;
    }
    return {scratch_, unit};
  }

 private:
  void Advance() {
    GRAPEVINE_CHECK(!pieces_.empty());
    rest_ = pieces_.front();
    pieces_ = pieces_.subspan(1);
  }

  Pieces pieces_;
  std::span<const std::byte> rest_;
  std::byte scratch_[4];
};

MixResult MixWhole(std::span<float> x, const std::byte* own, PieceReader peer) {
  MixResult sums;
  for (size_t at = 0; at < x.size();) {
    const auto run = peer.Next(sizeof(float), x.size() - at);
    const size_t n = run.size() / sizeof(float);
    MixFloats(x.data() + at, own + at * sizeof(float), run.data(), n, &sums);
    at += n;
  }
  return sums;
}

MixResult MixBFloat16(std::span<float> x, const std::byte* own, PieceReader peer) {
  MixResult sums;
  float mine[kTile], theirs[kTile];
  for (size_t at = 0; at < x.size();) {
    const auto run = peer.Next(sizeof(uint16_t), std::min(kTile, x.size() - at));
    const size_t n = run.size() / sizeof(uint16_t);
    DecodeBFloat16(own + at * sizeof(uint16_t), n, mine);
    DecodeBFloat16(run.data(), n, theirs);
    MixFloats(x.data() + at, std::as_bytes(std::span(mine)).data(),
              std::as_bytes(std::span(theirs)).data(), n, &sums);
    at += n;
  }
  return sums;
}

MixResult MixInt8(std::span<float> x, const std::byte* own, PieceReader peer) {
  MixResult sums;
  float mine[kTile], theirs[kTile];
  for (size_t block = 0; block < x.size(); block += kInt8Block) {
    const size_t end = std::min(x.size(), block + kInt8Block);
    float own_scale, peer_scale;
    std::memcpy(&own_scale, own, sizeof own_scale);
    own += sizeof own_scale;
    std::memcpy(&peer_scale, peer.Next(sizeof peer_scale, 1).data(), sizeof peer_scale);
    for (size_t at = block; at < end;) {
      const auto run = peer.Next(1, std::min(kTile, end - at));
      DecodeCodes(own, run.size(), own_scale, mine);
      DecodeCodes(run.data(), run.size(), peer_scale, theirs);
      MixFloats(x.data() + at, std::as_bytes(std::span(mine)).data(),
                std::as_bytes(std::span(theirs)).data(), run.size(), &sums);
      own += run.size();
      at += run.size();
    }
  }
  return sums;
}

}  // namespace

size_t PayloadBytes(Encoding encoding, size_t elements) {
  switch (encoding) {
    case Encoding::kFloat32:
      return elements * sizeof(float);
    case Encoding::kBFloat16:
      return elements * sizeof(uint16_t);
    case Encoding::kInt8:
      return elements + (elements + kInt8Block - 1) / kInt8Block * sizeof(float);
  }
  GRAPEVINE_CHECK(false);
}

void Encode(Encoding encoding, std::span<const float> values, std::span<std::byte> out) {
  GRAPEVINE_CHECK(out.size() == PayloadBytes(encoding, values.size()));
  switch (encoding) {
    case Encoding::kFloat32:
      std::memcpy(out.data(), values.data(), out.size());
      return;
    case Encoding::kBFloat16:
      EncodeBFloat16(values.data(), values.size(), out.data());
      return;
    case Encoding::kInt8:
      EncodeInt8(values, out.data());
      return;
  }
}

uint32_t Crc32c(std::span<const std::byte> bytes, uint32_t crc) {
  // The library takes a pointer to non-const and does not write through it.
  auto* begin = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(bytes.data()));
  return ~crc32_iscsi(begin, static_cast<int>(bytes.size()), ~crc);
}

Soundness Verify(Encoding encoding, size_t elements, uint32_t crc32c, Pieces payload) {
  size_t bytes = 0;
  for (const auto& piece : payload) bytes += piece.size();
  if (bytes != PayloadBytes(encoding, elements)) return Soundness::kWrongLength;

  PieceReader reader(payload);
  uint32_t crc = 0;
  bool finite = true;
  for (size_t at = 0; at < elements;) {
    size_t left = elements - at;
    if (encoding == Encoding::kInt8) {
      if (at % kInt8Block == 0) {
        const auto scale = reader.Next(sizeof(float), 1);
        crc = Crc32c(scale, crc);
        float value;
        std::memcpy(&value, scale.data(), sizeof value);
        finite &= UsableScale(value);
      }
      left = std::min(left, kInt8Block - at % kInt8Block);
    }
    const size_t unit =
        PayloadBytes(encoding, 1) - (encoding == Encoding::kInt8 ? sizeof(float) : 0);
    const auto run = reader.Next(unit, std::min(left, kVerifyBytes / unit));
    crc = Crc32c(run, crc);
    const size_t n = run.size() / unit;
    if (encoding == Encoding::kFloat32) finite &= LargestBits(run.data(), n) < kInfinityBits;
    if (encoding == Encoding::kBFloat16) {
      finite &= LargestBFloat16Bits(run.data(), n) < (kInfinityBits >> 16);
    }
    at += n;
  }
  if (crc != crc32c) return Soundness::kWrongChecksum;
  return finite ? Soundness::kSound : Soundness::kNotFinite;
}

MixResult MixInto(std::span<float> x, Encoding encoding, std::span<const std::byte> own,
                  Pieces peer) {
  GRAPEVINE_CHECK(own.size() == PayloadBytes(encoding, x.size()));
  const PieceReader reader(peer);
  switch (encoding) {
    case Encoding::kFloat32:
      return MixWhole(x, own.data(), reader);
    case Encoding::kBFloat16:
      return MixBFloat16(x, own.data(), reader);
    case Encoding::kInt8:
      return MixInt8(x, own.data(), reader);
  }
  GRAPEVINE_CHECK(false);
}

void Gather(Pieces payload, std::span<std::byte> out) {
  for (const auto& piece : payload) {
    GRAPEVINE_CHECK(piece.size() <= out.size());
    if (!piece.empty()) std::memcpy(out.data(), piece.data(), piece.size());
    out = out.subspan(piece.size());
  }
  GRAPEVINE_CHECK(out.empty());
}

}  // namespace grapevine::gossip
