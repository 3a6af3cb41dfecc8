#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "worker/gossip/message.h"

namespace grapevine::gossip {

// The passes over a chunk: encode, verify, mix. Each reads every byte once and runs at the speed of
// memory; the widest vectors that the machine has are chosen at load time. Pure functions, safe
// from any thread.
//
// On the wire: Float32 as in memory. BFloat16 rounded to nearest even. Int8 in blocks of kInt8Block
// elements (the last one shorter): a Float32 scale, then one signed byte per element, value = code
// * scale; the error is at most absmax(block) / 254 an element.

inline constexpr size_t kInt8Block = 4096;

// A payload as it was received: cut anywhere, also inside an element.
using Pieces = std::span<const std::span<const std::byte>>;

// The length of `elements` encoded.
size_t PayloadBytes(Encoding encoding, size_t elements);

// `out` has exactly PayloadBytes. Values that are not finite, or round to infinity in BFloat16,
// come out as something that Verify refuses.
void Encode(Encoding encoding, std::span<const float> values, std::span<std::byte> out);

// CRC-32C (Castagnoli) of `bytes` behind those that gave `crc`; 0 to begin.
uint32_t Crc32c(std::span<const std::byte> bytes, uint32_t crc = 0);

enum class Soundness { kSound, kWrongLength, kWrongChecksum, kNotFinite };

// Whether a peer's payload is `elements` finite values with this checksum. To be asked before
// MixInto: what is not sound must not touch the model.
Soundness Verify(Encoding encoding, size_t elements, uint32_t crc32c, Pieces payload);

struct MixResult {
  double distance_sq = 0;  // ||own - peer||^2
  double norm_sq = 0;      // ||own||^2
};

// x += (peer - own) / 2, with both sides decoded. `own` is what Encode made of an earlier x, `peer`
// what the other end's Encode made of its own. As the other end computes the same difference with
// the opposite sign, the sum of the two models stays what it was up to the rounding of one addition
// an element, however lossy the encoding and whatever was added to x in between: the delta form of
// the averaging step of AD-PSGD (Lian et al., ICML 2018).
//
// REQUIRES: `own` has PayloadBytes(encoding, x.size()) bytes and Verify(peer) is kSound.
MixResult MixInto(std::span<float> x, Encoding encoding, std::span<const std::byte> own,
                  Pieces peer);

// Copies a payload in pieces to contiguous memory of the same size.
void Gather(Pieces payload, std::span<std::byte> out);

}  // namespace grapevine::gossip
