#include "worker/dataset/input_file.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>

#include "absl/status/status.h"

namespace grapevine::dataset {

absl::StatusOr<std::vector<uint8_t>> ReadFile(const std::string& path, size_t max_bytes) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) {
    return absl::NotFoundError(fmt::format("{}: no such file", path));
  }
  if (!std::filesystem::is_regular_file(status)) {
    return absl::InvalidArgumentError(fmt::format("{}: not a regular file", path));
  }
  errno = 0;
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), &gzclose);
  if (file == nullptr) {
    return absl::InvalidArgumentError(
        fmt::format("{}: cannot be opened: {}", path, std::strerror(errno)));
  }
  constexpr size_t kPiece = 1 << 20;
  std::vector<uint8_t> bytes;
  while (true) {
    const size_t had = bytes.size();
    // One byte beyond the bound tells a file that is just as long from one that is longer.
    const size_t want = std::min(kPiece, max_bytes + 1 - had);
    bytes.resize(had + want);
    const int got = gzread(file.get(), bytes.data() + had, static_cast<unsigned>(want));
    int code = Z_OK;
    const char* message = gzerror(file.get(), &code);
    if (got < 0 || code != Z_OK) {
      return absl::InvalidArgumentError(
          fmt::format("{}: broken after {} bytes: {}", path, had + std::max(got, 0),
                      code == Z_ERRNO ? std::strerror(errno) : message));
    }
    bytes.resize(had + got);
    if (bytes.size() > max_bytes) {
      return absl::InvalidArgumentError(
          fmt::format("{}: holds more than the {} bytes allowed", path, max_bytes));
    }
    if (static_cast<size_t>(got) < want) return bytes;
  }
}

}  // namespace grapevine::dataset
