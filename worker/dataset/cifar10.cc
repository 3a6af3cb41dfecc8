#include "worker/dataset/cifar10.h"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "worker/dataset/image_table.h"
#include "worker/dataset/input_file.h"

namespace grapevine::dataset {
namespace {

constexpr Shape kShape = {3, 32, 32};
constexpr int32_t kClasses = 10;

absl::Status AppendFile(const std::string& path, int64_t samples, ByteImages& images) {
  const size_t record = 1 + kShape.elements();
  const size_t size = record * samples;
  auto bytes = ReadFile(path, size);
  if (!bytes.ok()) return bytes.status();
  if (bytes->size() != size) {
    return absl::InvalidArgumentError(fmt::format("{}: {} bytes, must be {} ({} records of {})",
                                                  path, bytes->size(), size, samples, record));
  }
  for (int64_t i = 0; i < samples; ++i) {
    const auto at = bytes->begin() + static_cast<ptrdiff_t>(i * record);
    if (*at >= kClasses) {
      return absl::InvalidArgumentError(
          fmt::format("{}: label {} of sample {}, must be 0 to {}", path, *at, i, kClasses - 1));
    }
    images.labels.push_back(*at);
    images.pixels.insert(images.pixels.end(), at + 1, at + static_cast<ptrdiff_t>(record));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<const Dataset>> OpenCifar10(const std::string& folder,
                                                           int64_t samples_per_file) {
  std::filesystem::path from = folder;
  std::error_code ignored;
  if (std::filesystem::is_directory(from / "cifar-10-batches-bin", ignored)) {
    from /= "cifar-10-batches-bin";
  }
  ByteImages train;
  ByteImages test;
  train.pixels.reserve(5 * samples_per_file * kShape.elements());
  for (int i = 1; i <= 5; ++i) {
    const auto path = (from / fmt::format("data_batch_{}.bin", i)).string();
    if (auto status = AppendFile(path, samples_per_file, train); !status.ok()) return status;
  }
  const auto path = (from / "test_batch.bin").string();
  if (auto status = AppendFile(path, samples_per_file, test); !status.ok()) return status;
  return std::make_unique<ImageTable>(TableOptions{.shape = kShape,
                                                   .classes = kClasses,
                                                   .mean = {0.4914, 0.4822, 0.4465},
                                                   .deviation = {0.2470, 0.2435, 0.2616},
                                                   .max_shift = 4},
                                      std::move(train), std::move(test));
}

}  // namespace grapevine::dataset
