#include "worker/checkpoint/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/status/status.h"
#include "worker/checkpoint/json_count.h"

namespace grapevine::checkpoint {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kMetadata = "__metadata__";

absl::Status Invalid(const std::string& what) { return absl::InvalidArgumentError(what); }

absl::StatusOr<TensorEntry> DecodeTensor(const std::string& name, const Json& json,
                                         uint64_t tensor_bytes) {
  const auto invalid = [&](const std::string& what) {
    return Invalid(fmt::format("tensor {:?}: {}", name, what));
  };
  if (!json.is_object() || !json.contains("dtype") || !json.contains("shape") ||
      !json.contains("data_offsets")) {
    return invalid("must have dtype, shape and data_offsets");
  }
  if (json["dtype"] != "F32") {
    return invalid(fmt::format("dtype {}, must be \"F32\"",
                               json["dtype"].dump(-1, ' ', true, Json::error_handler_t::replace)));
  }
  TensorEntry entry{.name = name};
  const Json& shape = json["shape"];
  if (!shape.is_array()) return invalid("shape must be an array");
  uint64_t elements = 1;
  for (const Json& extent : shape) {
    if (!IsCount(extent)) return invalid("extents must be non-negative integers");
    const auto value = extent.get<uint64_t>();
    // Every tensor lies in the file, so no honest product goes beyond it.
    if (value > tensor_bytes || (value != 0 && elements > tensor_bytes / value)) {
      return invalid("shape is larger than the file");
    }
    elements *= value;
    entry.shape.push_back(static_cast<int64_t>(value));
  }
  const Json& offsets = json["data_offsets"];
  if (!offsets.is_array() || offsets.size() != 2 || !IsCount(offsets[0]) || !IsCount(offsets[1])) {
    return invalid("data_offsets must be two non-negative integers");
  }
  const auto begin = offsets[0].get<uint64_t>();
  const auto end = offsets[1].get<uint64_t>();
  if (begin > end || end > tensor_bytes) {
    return invalid(fmt::format("data_offsets {} to {} do not lie in the {} bytes after the header",
                               begin, end, tensor_bytes));
  }
  entry.offset = begin;
  entry.bytes = end - begin;
  if (entry.bytes != elements * sizeof(float)) {
    return invalid(
        fmt::format("{} bytes, its shape needs {}", entry.bytes, elements * sizeof(float)));
  }
  return entry;
}

}  // namespace

std::string EncodeFileHeader(const FileHeader& header) {
  Json json = Json::object();
  if (!header.metadata.empty()) json[kMetadata] = header.metadata;
  for (const TensorEntry& tensor : header.tensors) {
    json[tensor.name] = {{"dtype", "F32"},
                         {"shape", tensor.shape},
                         {"data_offsets", {tensor.offset, tensor.offset + tensor.bytes}}};
  }
  std::string text = json.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::string encoded;
  for (int shift = 0; shift < 64; shift += 8) {
    encoded.push_back(static_cast<char>(uint64_t{text.size()} >> shift));
  }
  return encoded + text;
}

absl::StatusOr<FileHeader> DecodeFileHeader(std::string_view text, uint64_t tensor_bytes) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Invalid("the header is not a JSON object");
  FileHeader header;
  for (const auto& [name, value] : json.items()) {
    if (name == kMetadata) {
      if (!value.is_object()) return Invalid("__metadata__ must be an object");
      for (const auto& [key, text_value] : value.items()) {
        if (!text_value.is_string()) return Invalid("__metadata__ must hold strings alone");
        header.metadata[key] = text_value.get<std::string>();
      }
      continue;
    }
    auto tensor = DecodeTensor(name, value, tensor_bytes);
    if (!tensor.ok()) return tensor.status();
    header.tensors.push_back(*std::move(tensor));
  }
  std::sort(header.tensors.begin(), header.tensors.end(), [](const auto& a, const auto& b) {
    return std::pair(a.offset, a.bytes) < std::pair(b.offset, b.bytes);
  });
  uint64_t end = 0;
  for (const TensorEntry& tensor : header.tensors) {
    if (tensor.offset != end) {
      return Invalid(
          fmt::format("tensor {:?} begins at byte {}, where the one before it ends at {}",
                      tensor.name, tensor.offset, end));
    }
    end += tensor.bytes;
  }
  if (end != tensor_bytes) {
    return Invalid(
        fmt::format("{} bytes after the header, the tensors need {}", tensor_bytes, end));
  }
  return header;
}

}  // namespace grapevine::checkpoint
