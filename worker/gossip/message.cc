#include "worker/gossip/message.h"

#include <bit>
#include <cstring>

#include "absl/status/status.h"
#include "fmt/format.h"

namespace grapevine::gossip {
namespace {

static_assert(std::endian::native == std::endian::little,
              "weights travel as they lie in memory, which must be little-endian");

template <typename T>
void Put(std::span<std::byte> out, size_t at, T value) {
  std::memcpy(out.data() + at, &value, sizeof value);
}

template <typename T>
T Get(std::span<const std::byte> bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

}  // namespace

void EncodeHeader(const Header& header, std::span<std::byte, kHeaderBytes> out) {
  Put(out, 0, static_cast<uint8_t>(header.kind));
  Put(out, 1, static_cast<uint8_t>(header.encoding));
  Put(out, 2, uint16_t{0});
  Put(out, 4, header.chunk);
  Put(out, 8, header.exchange.active);
  Put(out, 16, header.exchange.counter);
  Put(out, 24, header.payload_bytes);
  Put(out, 28, header.crc32c);
}

absl::StatusOr<Header> DecodeHeader(std::span<const std::byte> bytes) {
  if (bytes.size() < kHeaderBytes) {
    return absl::InvalidArgumentError(
        fmt::format("a header of {} bytes is cut short: {} are due", bytes.size(), kHeaderBytes));
  }
  const auto kind = Get<uint8_t>(bytes, 0);
  if (kind < static_cast<uint8_t>(Kind::kOffer) || kind > static_cast<uint8_t>(Kind::kStateClose)) {
    return absl::InvalidArgumentError(fmt::format("unknown kind of message: {}", kind));
  }
  const auto encoding = Get<uint8_t>(bytes, 1);
  if (encoding > static_cast<uint8_t>(Encoding::kInt8)) {
    return absl::InvalidArgumentError(fmt::format("unknown encoding: {}", encoding));
  }
  if (Get<uint16_t>(bytes, 2) != 0) {
    return absl::InvalidArgumentError("the header's padding is not zero");
  }
  const Header header{
      .kind = static_cast<Kind>(kind),
      .encoding = static_cast<Encoding>(encoding),
      .chunk = Get<uint32_t>(bytes, 4),
      .exchange = {.active = Get<uint64_t>(bytes, 8), .counter = Get<uint64_t>(bytes, 16)},
      .payload_bytes = Get<uint32_t>(bytes, 24),
      .crc32c = Get<uint32_t>(bytes, 28)};
  if (header.payload_bytes > kMaxPayloadBytes) {
    return absl::InvalidArgumentError(fmt::format("a payload of {} bytes is over the maximum of {}",
                                                  header.payload_bytes, kMaxPayloadBytes));
  }
  return header;
}

}  // namespace grapevine::gossip
