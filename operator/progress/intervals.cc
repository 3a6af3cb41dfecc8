#include "operator/progress/intervals.h"

#include <algorithm>
#include <iterator>

#include "operator/base/check.h"

namespace grapevine::progress {

void IntervalSet::Add(Interval interval) {
  if (interval.begin >= interval.end) return;
  GRAPEVINE_CHECK(!Overlaps(interval));
  size_ += interval.size();
  auto after = by_begin_.lower_bound(interval.begin);
  if (after != by_begin_.end() && after->first == interval.end) {
    interval.end = after->second;
    after = by_begin_.erase(after);
  }
  if (after != by_begin_.begin()) {
    auto before = std::prev(after);
    if (before->second == interval.begin) {
      before->second = interval.end;
      return;
    }
  }
  by_begin_.emplace_hint(after, interval.begin, interval.end);
}

void IntervalSet::Remove(Interval interval) {
  if (interval.begin >= interval.end) return;
  GRAPEVINE_CHECK(Covers(interval));
  size_ -= interval.size();
  auto it = std::prev(by_begin_.upper_bound(interval.begin));
  const int64_t end = it->second;
  if (it->first == interval.begin) {
    by_begin_.erase(it);
  } else {
    it->second = interval.begin;
  }
  if (interval.end < end) by_begin_.emplace(interval.end, end);
}

bool IntervalSet::Overlaps(Interval interval) const {
  if (interval.begin >= interval.end) return false;
  auto after = by_begin_.lower_bound(interval.end);  // the first that begins at or behind the end
  return after != by_begin_.begin() && std::prev(after)->second > interval.begin;
}

bool IntervalSet::Covers(Interval interval) const {
  if (interval.begin >= interval.end) return true;
  auto after = by_begin_.upper_bound(interval.begin);
  return after != by_begin_.begin() && std::prev(after)->second >= interval.end;
}

std::vector<Interval> IntervalSet::Within(Interval interval) const {
  std::vector<Interval> parts;
  auto it = by_begin_.upper_bound(interval.begin);
  if (it != by_begin_.begin()) --it;  // the one that may reach into it
  for (; it != by_begin_.end() && it->first < interval.end; ++it) {
    const Interval part{std::max(it->first, interval.begin), std::min(it->second, interval.end)};
    if (part.begin < part.end) parts.push_back(part);
  }
  return parts;
}

Interval IntervalSet::TakeLowest(int64_t count) {
  GRAPEVINE_CHECK(!empty() && count > 0);
  const Interval lowest = first();
  const Interval taken{lowest.begin, std::min(lowest.end, lowest.begin + count)};
  Remove(taken);
  return taken;
}

std::vector<Interval> IntervalSet::ToVector() const {
  std::vector<Interval> intervals;
  intervals.reserve(by_begin_.size());
  for (auto [begin, end] : by_begin_) intervals.push_back({begin, end});
  return intervals;
}

}  // namespace grapevine::progress
