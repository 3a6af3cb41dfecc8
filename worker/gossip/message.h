#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/status/statusor.h"
#include "operator/api/member.h"

namespace grapevine::gossip {

using api::MemberId;

// What members say to each other. Exchange: Offer -> Accept | Busy | Refuse; then both sides Chunk
// ... Done, or Abort. State for a joiner: StateOpen -> StateAccept | StateRefuse (all slots taken);
// then StateRequest -> StateChunk, one for one, the joiner keeping a few requests out; StateClose.
enum class Kind : uint8_t {
  kOffer = 1,
  kAccept,
  kBusy,
  kRefuse,
  kChunk,
  kDone,
  kAbort,
  kStateOpen,
  kStateAccept,
  kStateRefuse,
  kStateRequest,
  kStateChunk,
  kStateClose,
};

// How weights travel in an exchange; the offer's holds for both directions. State travels as
// Float32.
enum class Encoding : uint8_t { kFloat32 = 0, kBFloat16 = 1, kInt8 = 2 };

// Names an exchange among all of a job's: the active member and its count of offers.
struct ExchangeId {
  MemberId active = 0;
  uint64_t counter = 0;

  bool operator==(const ExchangeId&) const = default;
};

// Precedes every payload on the wire. kState* frames carry the joiner's id and its own counter in
// `exchange`; chunks [0, n) of a state are the store's weights, [n, 2n) its momentum.
struct Header {
  Kind kind = Kind::kAbort;
  Encoding encoding = Encoding::kFloat32;
  uint32_t chunk = 0;
  ExchangeId exchange;
  uint32_t payload_bytes = 0;
  uint32_t crc32c = 0;  // of the payload; 0 for none

  bool operator==(const Header&) const = default;
};

// Little-endian: kind u8, encoding u8, zero u16, chunk u32, active u64, counter u64, payload_bytes
// u32, crc32c u32.
inline constexpr size_t kHeaderBytes = 32;

// The unit of locking and of the wire.
inline constexpr size_t kChunkBytes = 1 << 20;
inline constexpr size_t kChunkElements = kChunkBytes / sizeof(float);
// Float32 is the longest encoding.
inline constexpr size_t kMaxPayloadBytes = kChunkBytes;

void EncodeHeader(const Header& header, std::span<std::byte, kHeaderBytes> out);

// InvalidArgument for unknown kinds and encodings, non-zero padding and a payload_bytes over the
// maximum. `bytes` may be longer than a header.
absl::StatusOr<Header> DecodeHeader(std::span<const std::byte> bytes);

}  // namespace grapevine::gossip
