#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/transport/transport.h"

namespace grapevine::transport {

inline constexpr uint32_t kProtocolVersion = 1;
inline constexpr size_t kMaxJobUidBytes = 128;
inline constexpr size_t kMaxHelloBytes = 36 + kMaxJobUidBytes;

// The first message of a stream in either direction: who speaks, to whom, and about what.
struct Hello {
  uint32_t version = kProtocolVersion;
  Identity sender;
  MemberId receiver = 0;

  bool operator==(const Hello&) const = default;
};

// Little-endian: magic "GVHI" u32, version u32, sender u64, receiver u64, layout hash u64, length
// of the uid u32, the uid. REQUIRES: the uid is no longer than kMaxJobUidBytes.
std::vector<std::byte> EncodeHello(const Hello& hello);

// InvalidArgument unless `bytes` is one whole Hello and nothing more. A Hello of another version is
// decoded no further than the version.
absl::StatusOr<Hello> DecodeHello(std::span<const std::byte> bytes);

// FailedPrecondition naming the first thing in which the two ends differ: version, job, receiver,
// layout.
absl::Status CheckHello(const Hello& hello, const Identity& self);

}  // namespace grapevine::transport
