#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>

#include "operator/base/clock.h"

namespace grapevine::topology {

// How fast a total has grown over the last kLength. Thread-compatible.
class RateWindow {
 public:
  static constexpr Duration kLength = 10s;

  // REQUIRES: `now` ascends.
  void Note(Time now, int64_t total) {
    noted_.emplace_back(now, total);
    while (now - noted_.front().first > kLength) noted_.pop_front();
  }
  void Clear() { noted_.clear(); }

  // nullopt until two moments are known.
  std::optional<double> PerSecond() const {
    if (noted_.empty() || noted_.back().first == noted_.front().first) return std::nullopt;
    return static_cast<double>(noted_.back().second - noted_.front().second) /
           ToSeconds(noted_.back().first - noted_.front().first);
  }

 private:
  std::deque<std::pair<Time, int64_t>> noted_;
};

}  // namespace grapevine::topology
