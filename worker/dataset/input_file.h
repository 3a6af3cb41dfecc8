#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace grapevine::dataset {

// The bytes of a file, plain or gzip. NotFound when it is not there; InvalidArgument when it is a
// broken gzip stream or holds more than `max_bytes` unpacked, so that no file can take more memory
// than that.
absl::StatusOr<std::vector<uint8_t>> ReadFile(const std::string& path, size_t max_bytes);

}  // namespace grapevine::dataset
