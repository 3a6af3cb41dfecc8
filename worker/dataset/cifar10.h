#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "worker/dataset/dataset.h"

namespace grapevine::dataset {

inline constexpr int64_t kCifar10SamplesPerFile = 10'000;

// CIFAR-10 (Krizhevsky, 2009), binary version: data_batch_1.bin to data_batch_5.bin and
// test_batch.bin, in `folder` or in its cifar-10-batches-bin/, each `samples_per_file` records of a
// label and 3 x 32 x 32 bytes. Augmentation as He et al. (2015), section 4.2: 4 pixels of padding,
// a random crop, a random mirror.
absl::StatusOr<std::unique_ptr<const Dataset>> OpenCifar10(
    const std::string& folder, int64_t samples_per_file = kCifar10SamplesPerFile);

}  // namespace grapevine::dataset
