#include "worker/checkpoint/checkpoint.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <span>
#include <utility>

#include "operator/base/check.h"
#include "worker/checkpoint/json_count.h"
#include "worker/checkpoint/safetensors.h"

namespace grapevine::checkpoint {
namespace {

using nlohmann::json;
using store::ParameterEntry;
using store::ParameterKind;

static_assert(std::endian::native == std::endian::little,
              "tensors are written as they lie in memory");

constexpr const char* kMomentumPrefix = "momentum.";
// Of done ranges: bounds what the JSON can make a reader allocate.
constexpr size_t kMaxRanges = 1 << 20;

absl::Status ErrnoStatus(const std::string& file, const char* what) {
  const int error = errno;
  const std::string message = fmt::format("{}: {}: {}", file, what, std::strerror(error));
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return absl::ResourceExhaustedError(message);
    case ENOENT:
      return absl::NotFoundError(message);
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(message);
    default:
      return absl::UnavailableError(message);
  }
}

// A descriptor that is closed at the end of the scope. Thread-compatible.
class File {
 public:
  File(const std::string& path, int flags)
      : path_(path), fd_(open(path.c_str(), flags | O_CLOEXEC, 0644)) {}
  ~File() {
    if (fd_ >= 0) close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  bool is_open() const { return fd_ >= 0; }
  int fd() const { return fd_; }

  absl::Status Write(std::span<const char> bytes) const {
    while (!bytes.empty()) {
      const ssize_t written = write(fd_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return ErrnoStatus(path_, "writing");
      bytes = bytes.subspan(static_cast<size_t>(written));
    }
    return absl::OkStatus();
  }

  absl::Status Read(uint64_t offset, std::span<char> bytes) const {
    while (!bytes.empty()) {
      const ssize_t got = pread(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0)
        return absl::DataLossError(fmt::format("{}: reading: {}", path_, std::strerror(errno)));
      if (got == 0) return absl::DataLossError(fmt::format("{}: ends at byte {}", path_, offset));
      bytes = bytes.subspan(static_cast<size_t>(got));
      offset += static_cast<uint64_t>(got);
    }
    return absl::OkStatus();
  }

  absl::Status Flush() const {
    return fsync(fd_) == 0 ? absl::OkStatus() : ErrnoStatus(path_, "flushing");
  }

 private:
  const std::string path_;
  const int fd_;
};

std::map<std::string, std::string> EncodeManifest(const Manifest& manifest) {
  json ranges = json::array();
  for (const DoneRange& range : manifest.done) {
    ranges.push_back({range.data_epoch, range.first_batch, range.end_batch});
  }
  const json progress = {
      {"samples", manifest.samples}, {"dataEpoch", manifest.data_epoch}, {"done", ranges}};
  return {{"format", "grapevine checkpoint 1"},
          {"jobUid", manifest.job_uid},
          {"layoutHash", fmt::format("{:016x}", manifest.layout_hash)},
          {"progress", progress.dump()}};
}

absl::StatusOr<Manifest> DecodeManifest(const std::map<std::string, std::string>& metadata) {
  const auto value = [&](const char* key) {
    const auto found = metadata.find(key);
    return found == metadata.end() ? std::string() : found->second;
  };
  Manifest manifest{.job_uid = value("jobUid")};
  const std::string hash = value("layoutHash");
  if (manifest.job_uid.empty() || hash.size() != 16 ||
      hash.find_first_not_of("0123456789abcdef") != std::string::npos) {
    return absl::InvalidArgumentError("jobUid or layoutHash is missing from its metadata");
  }
  manifest.layout_hash = std::stoull(hash, nullptr, 16);
  const json progress = json::parse(value("progress"), nullptr, /*allow_exceptions=*/false);
  if (!progress.is_object() || !progress.contains("samples") || !progress.contains("dataEpoch") ||
      !progress.contains("done") || !IsCount(progress["samples"]) ||
      !IsCount(progress["dataEpoch"]) || !progress["done"].is_array() ||
      progress["done"].size() > kMaxRanges) {
    return absl::InvalidArgumentError("the progress in its metadata is malformed");
  }
  manifest.samples = progress["samples"].get<int64_t>();
  manifest.data_epoch = progress["dataEpoch"].get<int64_t>();
  for (const json& range : progress["done"]) {
    if (!range.is_array() || range.size() != 3 ||
        !std::all_of(range.begin(), range.end(), IsCount<json>) || range[1] >= range[2] ||
        range[0] < progress["dataEpoch"]) {
      return absl::InvalidArgumentError("a done range in its metadata is malformed");
    }
    manifest.done.push_back(
        {range[0].get<int64_t>(), range[1].get<int64_t>(), range[2].get<int64_t>()});
  }
  return manifest;
}

FileHeader HeaderFor(const Manifest& manifest, const store::ParameterLayout& layout) {
  FileHeader header{.metadata = EncodeManifest(manifest)};
  for (const ParameterEntry& entry : layout.entries) {
    header.tensors.push_back(
        {entry.name, entry.shape, entry.offset * sizeof(float), entry.size * sizeof(float)});
  }
  for (const ParameterEntry& entry : layout.entries) {
    if (entry.kind == ParameterKind::kStatistic) continue;
    header.tensors.push_back({kMomentumPrefix + entry.name, entry.shape,
                              (layout.size + entry.offset) * sizeof(float),
                              entry.size * sizeof(float)});
  }
  return header;
}

absl::Status WriteContents(const File& file, const Manifest& manifest,
                           const store::ParameterLayout& layout,
                           const store::ParameterStore& store) {
  const std::string header = EncodeFileHeader(HeaderFor(manifest, layout));
  GRAPEVINE_CHECK(header.size() <= kMaxHeaderBytes);
  if (auto status = file.Write(header); !status.ok()) return status;
  std::vector<float> values(store.ChunkElements(0));
  // The layout has no gaps, so the flat vectors are the tensors in a row.
  const auto write_first = [&](size_t elements) {
    const auto bytes = std::as_bytes(std::span(values).first(elements));
    return file.Write({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  };
  for (uint32_t chunk = 0; chunk < store.chunks(); ++chunk) {
    store.Snapshot(chunk, std::span(values).first(store.ChunkElements(chunk)));
    if (auto status = write_first(store.ChunkElements(chunk)); !status.ok()) return status;
  }
  for (uint32_t chunk = 0; chunk < store.chunks(); ++chunk) {
    const size_t offset = store.ChunkOffset(chunk);
    if (offset >= layout.trained_size) break;
    store.SnapshotMomentum(chunk, std::span(values).first(store.ChunkElements(chunk)));
    const size_t elements = std::min(store.ChunkElements(chunk), layout.trained_size - offset);
    if (auto status = write_first(elements); !status.ok()) return status;
  }
  return file.Flush();
}

struct OpenedFile {
  FileHeader header;
  Manifest manifest;
  uint64_t tensors_at = 0;  // bytes from the start of the file
};

absl::StatusOr<OpenedFile> ReadHeader(const std::string& path, const File& file) {
  if (!file.is_open()) return ErrnoStatus(path, "opening");
  const auto invalid = [&](std::string_view what) {
    return absl::InvalidArgumentError(fmt::format("{}: {}", path, what));
  };
  struct stat status = {};
  if (fstat(file.fd(), &status) != 0) return ErrnoStatus(path, "examining");
  if (!S_ISREG(status.st_mode)) return invalid("not a regular file");
  const auto size = static_cast<uint64_t>(status.st_size);
  if (size < kLengthBytes)
    return invalid(fmt::format("{} bytes, too short for a checkpoint", size));
  unsigned char length_bytes[kLengthBytes];
  if (auto read = file.Read(0, {reinterpret_cast<char*>(length_bytes), kLengthBytes}); !read.ok()) {
    return read;
  }
  uint64_t length = 0;
  for (size_t i = 0; i < kLengthBytes; ++i) length |= uint64_t{length_bytes[i]} << (8 * i);
  if (length > kMaxHeaderBytes || length > size - kLengthBytes) {
    return invalid(fmt::format("a header of {} bytes in a file of {}; at most {} are allowed",
                               length, size, kMaxHeaderBytes));
  }
  std::string text(length, '\0');
  if (auto read = file.Read(kLengthBytes, text); !read.ok()) return read;
  OpenedFile opened{.tensors_at = kLengthBytes + length};
  auto header = DecodeFileHeader(text, size - opened.tensors_at);
  if (!header.ok()) return invalid(std::string(header.status().message()));
  opened.header = *std::move(header);
  auto manifest = DecodeManifest(opened.header.metadata);
  if (!manifest.ok()) return invalid(std::string(manifest.status().message()));
  opened.manifest = *std::move(manifest);
  return opened;
}

std::string DescribeShape(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

// Where each tensor of the layout lies in the file, in the layout's order: weights, then momentum
// (null where the file has none).
struct Placement {
  std::vector<const TensorEntry*> weights;
  std::vector<const TensorEntry*> momentum;
};

absl::StatusOr<Placement> Match(const FileHeader& header, const store::ParameterLayout& layout) {
  std::map<std::string_view, const TensorEntry*> by_name;
  for (const TensorEntry& tensor : header.tensors) by_name[tensor.name] = &tensor;
  const auto take = [&](const std::string& name,
                        const ParameterEntry& entry) -> absl::StatusOr<const TensorEntry*> {
    const auto found = by_name.find(name);
    if (found == by_name.end()) return nullptr;
    const TensorEntry* tensor = found->second;
    by_name.erase(found);
    if (tensor->shape == entry.shape) return tensor;
    return absl::FailedPreconditionError(fmt::format("tensor {:?} has shape {}, the model's is {}",
                                                     name, DescribeShape(tensor->shape),
                                                     DescribeShape(entry.shape)));
  };
  Placement placement;
  for (const ParameterEntry& entry : layout.entries) {
    auto weights = take(entry.name, entry);
    if (!weights.ok()) return weights.status();
    if (*weights == nullptr) {
      return absl::FailedPreconditionError(
          fmt::format("tensor {:?} of the model is missing", entry.name));
    }
    placement.weights.push_back(*weights);
    if (entry.kind == ParameterKind::kStatistic) continue;
    auto momentum = take(kMomentumPrefix + entry.name, entry);
    if (!momentum.ok()) return momentum.status();
    placement.momentum.push_back(*momentum);
  }
  if (!by_name.empty()) {
    return absl::FailedPreconditionError(
        fmt::format("tensor {:?} is not the model's", by_name.begin()->first));
  }
  return placement;
}

// Reads the part of the flat vector that begins at `offset`; entries without a tensor are zero.
absl::Status ReadPart(const File& file, uint64_t tensors_at, const store::ParameterLayout& layout,
                      const std::vector<const TensorEntry*>& tensors, size_t offset,
                      std::span<float> out) {
  std::fill(out.begin(), out.end(), 0.0f);
  for (size_t i = 0; i < tensors.size(); ++i) {
    const ParameterEntry& entry = layout.entries[i];
    const size_t first = std::max(entry.offset, offset);
    const size_t end = std::min(entry.offset + entry.size, offset + out.size());
    if (tensors[i] == nullptr || first >= end) continue;
    const std::span<float> values = out.subspan(first - offset, end - first);
    const uint64_t at = tensors_at + tensors[i]->offset + (first - entry.offset) * sizeof(float);
    if (auto status = file.Read(at, {reinterpret_cast<char*>(values.data()), values.size_bytes()});
        !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Write(const std::string& path, const Manifest& manifest,
                   const store::ParameterLayout& layout, const store::ParameterStore& store) {
  GRAPEVINE_CHECK(store.elements() == layout.size);
  const std::filesystem::path folder = std::filesystem::absolute(path).parent_path();
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return absl::UnavailableError(fmt::format("{}: {}", folder.string(), error.message()));
  // Another writer's file must not be renamed half-written, and process ids coincide in containers.
  std::random_device random;
  const std::string temporary = fmt::format("{}.{:08x}{:08x}.tmp", path, random(), random());
  absl::Status status;
  {
    const File file(temporary, O_WRONLY | O_CREAT | O_EXCL);
    status = file.is_open() ? WriteContents(file, manifest, layout, store)
                            : ErrnoStatus(temporary, "creating");
  }
  if (status.ok() && rename(temporary.c_str(), path.c_str()) != 0) {
    status = ErrnoStatus(path, "renaming");
  }
  if (!status.ok()) {
    unlink(temporary.c_str());
    return status;
  }
  const File opened_folder(folder.string(), O_RDONLY | O_DIRECTORY);
  return opened_folder.is_open() ? opened_folder.Flush() : ErrnoStatus(folder.string(), "opening");
}

absl::StatusOr<Manifest> ReadManifest(const std::string& path) {
  auto opened = ReadHeader(path, File(path, O_RDONLY | O_NONBLOCK));
  if (!opened.ok()) return opened.status();
  return opened->manifest;
}

absl::StatusOr<Manifest> Load(const std::string& path, const store::ParameterLayout& layout,
                              store::ParameterStore& store) {
  GRAPEVINE_CHECK(store.elements() == layout.size);
  const File file(path, O_RDONLY | O_NONBLOCK);
  auto opened = ReadHeader(path, file);
  if (!opened.ok()) return opened.status();
  const auto placement = Match(opened->header, layout);
  if (!placement.ok()) {
    return absl::FailedPreconditionError(
        fmt::format("{}: {}", path, std::string(placement.status().message())));
  }
  std::vector<float> values(store.ChunkElements(0));
  for (uint32_t chunk = 0; chunk < store.chunks(); ++chunk) {
    const std::span<float> part = std::span(values).first(store.ChunkElements(chunk));
    const size_t offset = store.ChunkOffset(chunk);
    auto status = ReadPart(file, opened->tensors_at, layout, placement->weights, offset, part);
    if (!status.ok()) return status;
    store.LoadWeights(chunk, part);
    status = ReadPart(file, opened->tensors_at, layout, placement->momentum, offset, part);
    if (!status.ok()) return status;
    store.LoadMomentum(chunk, part);
  }
  return opened->manifest;
}

}  // namespace grapevine::checkpoint
