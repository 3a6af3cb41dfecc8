#include "worker/transport/grpc/frame_bytes.h"

#include <grpcpp/support/slice.h>
#include <gtest/gtest.h>

#include <random>

namespace grapevine::transport {
namespace {

std::shared_ptr<std::vector<std::byte>> Numbered(size_t size) {
  auto bytes = std::make_shared<std::vector<std::byte>>(size);
  for (size_t i = 0; i < size; ++i) (*bytes)[i] = static_cast<std::byte>(i * 7 + i / 256);
  return bytes;
}

Frame ChunkOf(const std::shared_ptr<std::vector<std::byte>>& bytes) {
  return {.header = {.kind = gossip::Kind::kChunk, .chunk = 3, .exchange = {1, 2}, .crc32c = 5},
          .payload = {.pieces = {*bytes}, .owner = bytes}};
}

std::vector<std::byte> Flat(const Payload& payload) {
  std::vector<std::byte> bytes;
  for (const auto& piece : payload.pieces) bytes.insert(bytes.end(), piece.begin(), piece.end());
  return bytes;
}

// The message cut into slices at random places, as gRPC delivers it.
grpc::ByteBuffer Recut(const grpc::ByteBuffer& message, std::mt19937& random) {
  const std::vector<std::byte> bytes = FirstBytes(message, message.Length());
  std::vector<grpc::Slice> slices;
  for (size_t at = 0; at < bytes.size();) {
    const size_t length = std::min<size_t>(bytes.size() - at, 1 + random() % 50);
    slices.emplace_back(bytes.data() + at, length);
    at += length;
  }
  return grpc::ByteBuffer(slices.data(), slices.size());
}

TEST(FrameBytes, AFrameSurvivesAnyCutOfItsMessage) {
  std::mt19937 random(3);
  for (size_t size : {0, 1, 31, 32, 33, 1000}) {
    const auto bytes = Numbered(size);
    const grpc::ByteBuffer message = ToByteBuffer(ChunkOf(bytes));
    for (int round = 0; round < 50; ++round) {
      const absl::StatusOr<Frame> frame = ToFrame(Recut(message, random));
      ASSERT_TRUE(frame.ok()) << frame.status();
      EXPECT_EQ(frame->header.chunk, 3u);
      EXPECT_EQ(frame->header.payload_bytes, size);
      EXPECT_EQ(Flat(frame->payload), *bytes);
    }
  }
}

TEST(FrameBytes, ThePayloadIsSentWithoutACopy) {
  const auto bytes = Numbered(100'000);
  const grpc::ByteBuffer message = ToByteBuffer(ChunkOf(bytes));
  std::vector<grpc::Slice> slices;
  ASSERT_TRUE(message.Dump(&slices).ok());
  ASSERT_EQ(slices.size(), 2u);
  EXPECT_EQ(static_cast<const void*>(slices[1].begin()), bytes->data());
}

TEST(FrameBytes, TheOwnerLivesAsLongAsTheMessageAndTheReceivedPieces) {
  auto bytes = Numbered(1000);
  const std::weak_ptr<std::vector<std::byte>> watched = bytes;
  grpc::ByteBuffer message = ToByteBuffer(ChunkOf(bytes));
  bytes.reset();
  absl::StatusOr<Frame> received = ToFrame(message);
  ASSERT_TRUE(received.ok());
  message.Clear();
  EXPECT_EQ(Flat(received->payload), *Numbered(1000));
  received = absl::CancelledError();
  EXPECT_TRUE(watched.expired());
}

TEST(FrameBytes, MessagesThatAreNoFrameAreRefused) {
  const grpc::ByteBuffer good = ToByteBuffer(ChunkOf(Numbered(100)));
  const std::vector<std::byte> bytes = FirstBytes(good, good.Length());
  for (size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(ToFrame(ToByteBuffer(std::span(bytes).first(length))).ok()) << length;
  }
  std::vector<std::byte> longer = bytes;
  longer.push_back({});
  EXPECT_FALSE(ToFrame(ToByteBuffer(longer)).ok());
  std::vector<std::byte> unknown = bytes;
  unknown[0] = std::byte{99};
  EXPECT_FALSE(ToFrame(ToByteBuffer(unknown)).ok());
  const std::vector<std::byte> huge(gossip::kHeaderBytes + gossip::kMaxPayloadBytes + 1);
  EXPECT_FALSE(ToFrame(ToByteBuffer(huge)).ok());
}

TEST(FrameBytes, FirstBytesStopsAtItsLimit) {
  const std::vector<std::byte> bytes(1000, std::byte{1});
  EXPECT_EQ(FirstBytes(ToByteBuffer(bytes), 10).size(), 10u);
  EXPECT_EQ(FirstBytes(ToByteBuffer(bytes), 2000).size(), 1000u);
}

}  // namespace
}  // namespace grapevine::transport
