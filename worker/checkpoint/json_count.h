#pragma once

#include <cstdint>

namespace grapevine::checkpoint {

// Whether a JSON value, ordered or not, is a non-negative integer below 2^63.
template <typename Json>
bool IsCount(const Json& value) {
  return value.is_number_integer() &&
         (!value.is_number_unsigned() || value.template get<uint64_t>() >> 63 == 0) &&
         value.template get<int64_t>() >= 0;
}

}  // namespace grapevine::checkpoint
