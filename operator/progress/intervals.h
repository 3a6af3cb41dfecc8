#pragma once

#include <cstdint>
#include <map>
#include <vector>

namespace grapevine::progress {

struct Interval {
  int64_t begin = 0;
  int64_t end = 0;  // exclusive
  int64_t size() const { return end - begin; }
  friend bool operator==(const Interval&, const Interval&) = default;
};

// A set of integers as disjoint intervals that never touch. Memory grows with their number, not
// with what they span. Thread-compatible.
class IntervalSet {
 public:
  IntervalSet() = default;
  explicit IntervalSet(Interval interval) { Add(interval); }

  // REQUIRES: no integer of it is in the set. Empty intervals are ignored. O(log k).
  void Add(Interval interval);
  // REQUIRES: all of it is in the set.
  void Remove(Interval interval);
  bool Overlaps(Interval interval) const;
  bool Covers(Interval interval) const;
  // The parts of `interval` that are in the set, ascending. O(log k + parts).
  std::vector<Interval> Within(Interval interval) const;

  // Removes and returns the lowest integers: at most `count`, and none behind the first gap.
  // REQUIRES: !empty(), count > 0.
  Interval TakeLowest(int64_t count);

  int64_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // The lowest interval. REQUIRES: !empty().
  Interval first() const { return {by_begin_.begin()->first, by_begin_.begin()->second}; }
  std::vector<Interval> ToVector() const;

 private:
  std::map<int64_t, int64_t> by_begin_;  // begin -> end
  int64_t size_ = 0;
};

}  // namespace grapevine::progress
