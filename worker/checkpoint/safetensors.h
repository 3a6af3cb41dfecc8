#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace grapevine::checkpoint {

// The header of a safetensors file (github.com/huggingface/safetensors), as far as checkpoints use
// it: F32 tensors in a row without gaps.

struct TensorEntry {
  std::string name;
  std::vector<int64_t> shape;
  uint64_t offset = 0;  // bytes from the end of the header
  uint64_t bytes = 0;

  bool operator==(const TensorEntry&) const = default;
};

struct FileHeader {
  std::vector<TensorEntry> tensors;  // by offset
  std::map<std::string, std::string> metadata;

  bool operator==(const FileHeader&) const = default;
};

// The length in front of the header.
inline constexpr size_t kLengthBytes = 8;
// Bounds what a file can make a reader allocate: over 100,000 tensors fit.
inline constexpr uint64_t kMaxHeaderBytes = 16 << 20;

// Length and JSON text, padded with spaces to a multiple of 8.
std::string EncodeFileHeader(const FileHeader& header);

// The reverse of the text, without the length. InvalidArgument unless the tensors are F32, have
// shapes that fit their offsets and fill `tensor_bytes`, the rest of the file, exactly, without
// overlap or gap.
absl::StatusOr<FileHeader> DecodeFileHeader(std::string_view text, uint64_t tensor_bytes);

}  // namespace grapevine::checkpoint
