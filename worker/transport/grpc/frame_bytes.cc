#include "worker/transport/grpc/frame_bytes.h"

#include <fmt/format.h>
#include <grpcpp/support/slice.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "worker/gossip/message.h"

namespace grapevine::transport {
namespace {

using Slices = std::vector<grpc::Slice>;

void DropOwner(void* owner) { delete static_cast<std::shared_ptr<const void>*>(owner); }

std::span<const std::byte> Bytes(const grpc::Slice& slice) {
  return {reinterpret_cast<const std::byte*>(slice.begin()), slice.size()};
}

}  // namespace

grpc::ByteBuffer ToByteBuffer(Frame frame) {
  frame.header.payload_bytes = static_cast<uint32_t>(frame.payload.size());
  std::array<std::byte, gossip::kHeaderBytes> header;
  gossip::EncodeHeader(frame.header, header);
  Slices slices;
  slices.reserve(1 + frame.payload.pieces.size());
  slices.emplace_back(header.data(), header.size());
  for (std::span<const std::byte> piece : frame.payload.pieces) {
    if (piece.empty()) continue;
    // gRPC's signature takes mutable memory but only reads it.
    slices.emplace_back(const_cast<std::byte*>(piece.data()), piece.size(), DropOwner,
                        new std::shared_ptr<const void>(frame.payload.owner));
  }
  return grpc::ByteBuffer(slices.data(), slices.size());
}

absl::StatusOr<Frame> ToFrame(const grpc::ByteBuffer& buffer) {
  const size_t length = buffer.Length();
  if (length < gossip::kHeaderBytes || length > gossip::kHeaderBytes + gossip::kMaxPayloadBytes) {
    return absl::InvalidArgumentError(fmt::format("message of {} bytes; a frame has {} to {}",
                                                  length, gossip::kHeaderBytes,
                                                  gossip::kHeaderBytes + gossip::kMaxPayloadBytes));
  }
  auto slices = std::make_shared<Slices>();
  if (!buffer.Dump(slices.get()).ok()) return absl::InvalidArgumentError("message cannot be read");

  Frame frame;
  std::array<std::byte, gossip::kHeaderBytes> header;
  size_t header_filled = 0;
  frame.payload.pieces.reserve(slices->size());
  for (const grpc::Slice& slice : *slices) {
    std::span<const std::byte> bytes = Bytes(slice);
    const size_t head = std::min(bytes.size(), header.size() - header_filled);
    if (head > 0) std::memcpy(header.data() + header_filled, bytes.data(), head);
    header_filled += head;
    bytes = bytes.subspan(head);
    if (!bytes.empty()) frame.payload.pieces.push_back(bytes);
  }
  frame.payload.owner = std::move(slices);
  if (header_filled < header.size()) return absl::InvalidArgumentError("message is cut short");

  absl::StatusOr<gossip::Header> decoded = gossip::DecodeHeader(header);
  if (!decoded.ok()) return decoded.status();
  frame.header = *decoded;
  if (frame.header.payload_bytes != frame.payload.size()) {
    return absl::InvalidArgumentError(fmt::format("header promises a payload of {} bytes, {} came",
                                                  frame.header.payload_bytes,
                                                  frame.payload.size()));
  }
  return frame;
}

grpc::ByteBuffer ToByteBuffer(std::span<const std::byte> bytes) {
  grpc::Slice slice(bytes.data(), bytes.size());
  return grpc::ByteBuffer(&slice, 1);
}

std::vector<std::byte> FirstBytes(const grpc::ByteBuffer& buffer, size_t limit) {
  Slices slices;
  std::vector<std::byte> bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& slice : slices) {
    const std::span<const std::byte> piece = Bytes(slice);
    const size_t taken = std::min(piece.size(), limit - bytes.size());
    bytes.insert(bytes.end(), piece.begin(), piece.begin() + taken);
  }
  return bytes;
}

}  // namespace grapevine::transport
