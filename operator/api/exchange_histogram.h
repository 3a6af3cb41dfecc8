#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

namespace grapevine::api {

// Durations of exchanges in logarithmic buckets, cheap to add up over members. Bucket b holds
// durations in (Bound(b-1), Bound(b)], each bound 2^(1/4) of the one before: a quantile is right
// within 19 %.
inline constexpr int kExchangeBuckets = 76;
inline constexpr double kFirstExchangeBoundSeconds = 50e-6;

using ExchangeBuckets = std::array<uint64_t, kExchangeBuckets>;

inline double ExchangeBoundSeconds(int bucket) {
  return kFirstExchangeBoundSeconds * std::exp2(bucket / 4.0);
}

inline int ExchangeBucket(double seconds) {
  if (seconds <= kFirstExchangeBoundSeconds) return 0;
  const double exact = 4 * std::log2(seconds / kFirstExchangeBoundSeconds);
  return std::min(kExchangeBuckets - 1, static_cast<int>(std::ceil(exact - 1e-9)));
}

// The upper bound of the bucket where the quantile lies; 0 when nothing was counted. 0 <= q <= 1.
inline double ExchangeQuantileSeconds(const ExchangeBuckets& buckets, double q) {
  uint64_t total = 0;
  for (uint64_t count : buckets) total += count;
  if (total == 0) return 0;
  const double rank = q * static_cast<double>(total);
  uint64_t below = 0;
  for (int b = 0; b < kExchangeBuckets; ++b) {
    below += buckets[b];
    if (static_cast<double>(below) >= rank && below > 0) return ExchangeBoundSeconds(b);
  }
  return ExchangeBoundSeconds(kExchangeBuckets - 1);
}

}  // namespace grapevine::api
