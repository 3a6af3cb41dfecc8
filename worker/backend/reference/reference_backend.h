#pragma once

#include <memory>

#include "worker/backend/backend.h"

namespace grapevine::backend::reference {

// Naive loops in plain layout: the oracle that other backends are tested against, and good enough
// for small models on machines without a vendor's library. Sums run in double, so that rounding is
// never what a test sees. Spends no memory on speed.
std::unique_ptr<Backend> MakeBackend();

}  // namespace grapevine::backend::reference
