#include "worker/dataset/mnist.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "worker/dataset/image_table.h"
#include "worker/dataset/input_file.h"

namespace grapevine::dataset {
namespace {

constexpr Shape kShape = {1, 28, 28};
constexpr uint32_t kClasses = 10;
constexpr uint32_t kImagesMagic = 0x803;  // unsigned bytes, 3 dimensions
constexpr uint32_t kLabelsMagic = 0x801;
constexpr uint32_t kMaxSamples = 1'000'000;

uint32_t BigEndian(const std::vector<uint8_t>& bytes, size_t offset) {
  return uint32_t{bytes[offset]} << 24 | uint32_t{bytes[offset + 1]} << 16 |
         uint32_t{bytes[offset + 2]} << 8 | uint32_t{bytes[offset + 3]};
}

struct IdxFile {
  std::string path;
  uint32_t count = 0;
  std::vector<uint8_t> values;
};

// `extents` are those after the first dimension, which is the count.
absl::StatusOr<IdxFile> ReadIdx(const std::string& folder, const std::string& name, uint32_t magic,
                                const std::vector<uint32_t>& extents) {
  IdxFile idx;
  idx.path = (std::filesystem::path(folder) / name).string();
  std::error_code ignored;
  if (!std::filesystem::exists(idx.path, ignored)) {
    if (!std::filesystem::exists(idx.path + ".gz", ignored)) {
      return absl::NotFoundError(
          fmt::format("{}: no such file, and no {}.gz beside it", idx.path, name));
    }
    idx.path += ".gz";
  }
  const size_t header = 4 * (2 + extents.size());
  size_t sample = 1;
  for (uint32_t extent : extents) sample *= extent;
  auto bytes = ReadFile(idx.path, header + sample * kMaxSamples);
  if (!bytes.ok()) return bytes.status();
  const auto invalid = [&](const std::string& what) {
    return absl::InvalidArgumentError(fmt::format("{}: {}", idx.path, what));
  };
  if (bytes->size() < header) {
    return invalid(fmt::format("{} bytes, shorter than its header of {}", bytes->size(), header));
  }
  if (BigEndian(*bytes, 0) != magic) {
    return invalid(
        fmt::format("starts with {:#010x}, must be {:#010x} (IDX, unsigned bytes, {} "
                    "dimensions)",
                    BigEndian(*bytes, 0), magic, 1 + extents.size()));
  }
  idx.count = BigEndian(*bytes, 4);
  if (idx.count == 0 || idx.count > kMaxSamples) {
    return invalid(fmt::format("{} samples, must be 1 to {}", idx.count, kMaxSamples));
  }
  for (size_t i = 0; i < extents.size(); ++i) {
    const uint32_t found = BigEndian(*bytes, 8 + 4 * i);
    if (found != extents[i]) {
      return invalid(fmt::format("extent {} is {}, must be {}", i + 1, found, extents[i]));
    }
  }
  if (bytes->size() != header + sample * idx.count) {
    return invalid(fmt::format("{} bytes, must be {} for the {} samples of its header",
                               bytes->size(), header + sample * idx.count, idx.count));
  }
  idx.values.assign(bytes->begin() + static_cast<ptrdiff_t>(header), bytes->end());
  return idx;
}

absl::StatusOr<ByteImages> ReadSplit(const std::string& folder, const std::string& prefix) {
  auto images =
      ReadIdx(folder, prefix + "-images-idx3-ubyte", kImagesMagic,
              {static_cast<uint32_t>(kShape.height), static_cast<uint32_t>(kShape.width)});
  if (!images.ok()) return images.status();
  auto labels = ReadIdx(folder, prefix + "-labels-idx1-ubyte", kLabelsMagic, {});
  if (!labels.ok()) return labels.status();
  if (images->count != labels->count) {
    return absl::InvalidArgumentError(
        fmt::format("{}: {} labels, must be as many as the {} images of {}", labels->path,
                    labels->count, images->count, images->path));
  }
  const auto bad = std::find_if(labels->values.begin(), labels->values.end(),
                                [](uint8_t label) { return label >= kClasses; });
  if (bad != labels->values.end()) {
    return absl::InvalidArgumentError(fmt::format("{}: label {} of sample {}, must be 0 to {}",
                                                  labels->path, *bad, bad - labels->values.begin(),
                                                  kClasses - 1));
  }
  return ByteImages{std::move(images->values), std::move(labels->values)};
}

}  // namespace

absl::StatusOr<std::unique_ptr<const Dataset>> OpenMnist(const std::string& folder) {
  auto train = ReadSplit(folder, "train");
  if (!train.ok()) return train.status();
  auto test = ReadSplit(folder, "t10k");
  if (!test.ok()) return test.status();
  return std::make_unique<ImageTable>(
      TableOptions{.shape = kShape, .classes = kClasses, .mean = {0.1307}, .deviation = {0.3081}},
      *std::move(train), *std::move(test));
}

}  // namespace grapevine::dataset
