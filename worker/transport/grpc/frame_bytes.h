#pragma once

#include <grpcpp/support/byte_buffer.h>

#include <span>

#include "absl/status/statusor.h"
#include "worker/transport/transport.h"

namespace grapevine::transport {

// A message of the bulk path is one frame: 32 bytes of header, then the payload, neither copied on
// its way between the frame and gRPC.
//
// The buffer keeps frame.payload.owner until the kernel has taken the bytes; the last reference may
// go on any thread.
grpc::ByteBuffer ToByteBuffer(Frame frame);

// InvalidArgument for a message that is too short or too long, whose header is malformed or whose
// length is not the header's. The frame's payload keeps the received bytes.
absl::StatusOr<Frame> ToFrame(const grpc::ByteBuffer& buffer);

// For messages that are small and copied: a Hello.
grpc::ByteBuffer ToByteBuffer(std::span<const std::byte> bytes);

// At most `limit` bytes of the message.
std::vector<std::byte> FirstBytes(const grpc::ByteBuffer& buffer, size_t limit);

}  // namespace grapevine::transport
