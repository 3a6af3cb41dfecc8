#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace grapevine::topology {

// Values counted between fixed bounds, as metrics show them. Thread-compatible.
class Histogram {
 public:
  // `bounds` ascend and outlive it.
  explicit Histogram(std::span<const double> bounds)
      : bounds_(bounds), counts_(bounds.size() + 1) {}

  void Add(double value) {
    ++counts_[static_cast<size_t>(std::ranges::lower_bound(bounds_, value) - bounds_.begin())];
    sum_ += value;
  }

  std::span<const double> bounds() const { return bounds_; }
  // counts()[i]: of values up to bounds()[i] and above the bound before; the last: above them all.
  std::span<const uint64_t> counts() const { return counts_; }
  double sum() const { return sum_; }

 private:
  std::span<const double> bounds_;
  std::vector<uint64_t> counts_;
  double sum_ = 0;
};

}  // namespace grapevine::topology
