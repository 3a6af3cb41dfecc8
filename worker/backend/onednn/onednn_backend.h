#pragma once

#include <memory>

#include "worker/backend/backend.h"

namespace grapevine::backend::onednn {

// oneDNN's convolutions, matrix products and pooling in the layouts that it likes best, and own
// kernels for what is bound by memory (normalisation with everything around it). `threads` per
// operation: 1 leaves the machine's other cores to other workers and to the gossip thread.
std::unique_ptr<Backend> MakeBackend(int threads);

}  // namespace grapevine::backend::onednn
