#include "worker/transport/grpc/hello.h"

#include <fmt/format.h>

#include <cstring>

#include "operator/base/check.h"

namespace grapevine::transport {
namespace {

constexpr uint64_t kMagic = 0x49485647;  // "GVHI"
constexpr size_t kFixedBytes = 4 + 4 + 8 + 8 + 8 + 4;
static_assert(kFixedBytes + kMaxJobUidBytes == kMaxHelloBytes);

void Put(std::vector<std::byte>& out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<std::byte>(value >> (8 * i)));
}

uint64_t Take(std::span<const std::byte>& in, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes; ++i) value |= static_cast<uint64_t>(in[i]) << (8 * i);
  in = in.subspan(bytes);
  return value;
}

}  // namespace

std::vector<std::byte> EncodeHello(const Hello& hello) {
  const std::string& uid = hello.sender.job_uid;
  GRAPEVINE_CHECK(uid.size() <= kMaxJobUidBytes);
  std::vector<std::byte> out;
  out.reserve(kFixedBytes + uid.size());
  Put(out, kMagic, 4);
  Put(out, hello.version, 4);
  Put(out, hello.sender.member, 8);
  Put(out, hello.receiver, 8);
  Put(out, hello.sender.layout_hash, 8);
  Put(out, uid.size(), 4);
  for (char c : uid) out.push_back(static_cast<std::byte>(c));
  return out;
}

absl::StatusOr<Hello> DecodeHello(std::span<const std::byte> bytes) {
  if (bytes.size() < 8 || Take(bytes, 4) != kMagic) {
    return absl::InvalidArgumentError("the first message is not a Hello");
  }
  Hello hello;
  hello.version = static_cast<uint32_t>(Take(bytes, 4));
  if (hello.version != kProtocolVersion) return hello;
  if (bytes.size() < kFixedBytes - 8) return absl::InvalidArgumentError("Hello is cut short");
  hello.sender.member = Take(bytes, 8);
  hello.receiver = Take(bytes, 8);
  hello.sender.layout_hash = Take(bytes, 8);
  const uint64_t length = Take(bytes, 4);
  if (length > kMaxJobUidBytes || length != bytes.size()) {
    return absl::InvalidArgumentError(
        fmt::format("Hello names a job uid of {} bytes, {} bytes follow, at most {} are allowed",
                    length, bytes.size(), kMaxJobUidBytes));
  }
  hello.sender.job_uid.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return hello;
}

absl::Status CheckHello(const Hello& hello, const Identity& self) {
  if (hello.version != kProtocolVersion) {
    return absl::FailedPreconditionError(
        fmt::format("protocol version {}, this end speaks {}", hello.version, kProtocolVersion));
  }
  if (hello.sender.job_uid != self.job_uid) {
    return absl::FailedPreconditionError(
        fmt::format("member of job '{}', this end is of '{}'", hello.sender.job_uid, self.job_uid));
  }
  if (hello.receiver != self.member) {
    return absl::FailedPreconditionError(
        fmt::format("meant for member {}, this end is member {}", hello.receiver, self.member));
  }
  if (hello.sender.layout_hash != self.layout_hash) {
    return absl::FailedPreconditionError(fmt::format("layout hash {:016x}, this end's is {:016x}",
                                                     hello.sender.layout_hash, self.layout_hash));
  }
  if (hello.sender.member == 0 || hello.sender.member == self.member) {
    return absl::FailedPreconditionError(
        fmt::format("sender calls itself member {}", hello.sender.member));
  }
  return absl::OkStatus();
}

}  // namespace grapevine::transport
