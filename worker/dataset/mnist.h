#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "worker/dataset/dataset.h"

namespace grapevine::dataset {

// MNIST (LeCun et al., 1998) and what shares its form: the four IDX files train-images-idx3-ubyte,
// train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, each plain or with
// .gz, of 28 x 28 images and labels 0 to 9, in any number.
absl::StatusOr<std::unique_ptr<const Dataset>> OpenMnist(const std::string& folder);

}  // namespace grapevine::dataset
