#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "worker/backend/backend.h"
#include "worker/nn/network.h"

// The models by name, one file each.
namespace grapevine::nn {

// Multi-layer perceptron: hidden layers of 128 and 64 with max(0, ·).
absl::StatusOr<std::unique_ptr<Network>> MakeMlp(const backend::Shape& images, int classes,
                                                 backend::Backend& backend);

// LeCun et al. (1998) with max(0, ·) and max-pooling, as it is usually trained today: convolutions
// of 6 and 16 channels, linear layers of 120 and 84. The first convolution is padded by 2, so that
// images of 28 × 28 are treated like those of 32 × 32 in the paper. Images need at least 12 × 12
// pixels.
absl::StatusOr<std::unique_ptr<Network>> MakeLenet5(const backend::Shape& images, int classes,
                                                    backend::Backend& backend);

// He et al. (2015), section 4.2, n = 3: 16, 32 and 64 channels, three blocks each, parameter-free
// shortcuts (option A), global average pooling. 0.27 M parameters for 32 × 32 × 3 and 10 classes.
absl::StatusOr<std::unique_ptr<Network>> MakeResnet20(const backend::Shape& images, int classes,
                                                      backend::Backend& backend);

}  // namespace grapevine::nn
