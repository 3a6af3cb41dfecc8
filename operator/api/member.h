#pragma once

#include <cstdint>

namespace grapevine::api {

// A registered worker incarnation: unique in the life of its job and never used again. 0 is nobody.
using MemberId = uint64_t;

}  // namespace grapevine::api
