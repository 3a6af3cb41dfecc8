#include "worker/gossip/message.h"

#include <array>
#include <cstring>
#include <vector>

#include "gtest/gtest.h"

namespace grapevine::gossip {
namespace {

using Bytes = std::array<std::byte, kHeaderBytes>;

Bytes Encoded(const Header& header) {
  Bytes bytes;
  bytes.fill(std::byte{0xFF});
  EncodeHeader(header, bytes);
  return bytes;
}

const Header kFull{.kind = Kind::kChunk,
                   .encoding = Encoding::kInt8,
                   .chunk = 0x01020304,
                   .exchange = {.active = 0x1112131415161718, .counter = 0x2122232425262728},
                   .payload_bytes = 0x000A0B0C,
                   .crc32c = 0x31323334};

TEST(Message, EveryFieldSurvivesTheWire) {
  for (int kind = 1; kind <= static_cast<int>(Kind::kStateClose); ++kind) {
    Header header = kFull;
    header.kind = static_cast<Kind>(kind);
    const auto decoded = DecodeHeader(Encoded(header));
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(*decoded, header);
  }
}

TEST(Message, TheBytesAreWhereTheHeaderSaysLittleEndian) {
  const Bytes bytes = Encoded(kFull);
  const std::vector<int> expected{5,    2,    0,    0,    0x04, 0x03, 0x02, 0x01, 0x18, 0x17, 0x16,
                                  0x15, 0x14, 0x13, 0x12, 0x11, 0x28, 0x27, 0x26, 0x25, 0x24, 0x23,
                                  0x22, 0x21, 0x0C, 0x0B, 0x0A, 0x00, 0x34, 0x33, 0x32, 0x31};
  for (size_t i = 0; i < kHeaderBytes; ++i)
    EXPECT_EQ(std::to_integer<int>(bytes[i]), expected[i]) << i;
}

TEST(Message, WhatFollowsAHeaderIsNotRead) {
  std::vector<std::byte> bytes(kHeaderBytes + 10, std::byte{0xAA});
  EncodeHeader(kFull, std::span(bytes).first<kHeaderBytes>());
  EXPECT_TRUE(DecodeHeader(bytes).ok());
}

TEST(Message, AHeaderCutShortIsRefused) {
  const Bytes bytes = Encoded(kFull);
  for (size_t size = 0; size < kHeaderBytes; ++size) {
    EXPECT_EQ(DecodeHeader(std::span(bytes).first(size)).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

TEST(Message, UnknownKindsAndEncodingsAndPaddingAreRefused) {
  for (const auto& [at, value] : std::vector<std::pair<size_t, int>>{
           {0, 0}, {0, 14}, {0, 255}, {1, 3}, {1, 255}, {2, 1}, {3, 1}}) {
    Bytes bytes = Encoded(kFull);
    bytes[at] = static_cast<std::byte>(value);
    EXPECT_EQ(DecodeHeader(bytes).status().code(), absl::StatusCode::kInvalidArgument)
        << at << " " << value;
  }
}

TEST(Message, APayloadOverTheMaximumIsRefused) {
  Header header = kFull;
  header.payload_bytes = kMaxPayloadBytes;
  EXPECT_TRUE(DecodeHeader(Encoded(header)).ok());
  header.payload_bytes = kMaxPayloadBytes + 1;
  EXPECT_EQ(DecodeHeader(Encoded(header)).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace grapevine::gossip
