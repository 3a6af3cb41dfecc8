#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "nlohmann/json.hpp"
#include "operator/base/clock.h"

namespace grapevine::controller {

// Whom an event is about.
struct ObjectReference {
  std::string api_version;
  std::string kind;
  std::string name_space;
  std::string name;
  std::string uid;

  auto operator<=>(const ObjectReference&) const = default;
};

struct Event {
  ObjectReference regarding;
  bool warning = false;
  std::string reason;  // CamelCase
  std::string action;  // CamelCase: what was done or tried
  std::string note;    // in words; cut at kMaxNote bytes

  auto operator<=>(const Event&) const = default;
};

// What is to be written of an event.
struct EventWrite {
  Event event;
  std::string name;  // of the Event object
  int count = 1;     // 1: create it; more: it was seen so often, say so in its series
  std::chrono::system_clock::time_point first{};
  std::chrono::system_clock::time_point last{};
};

// Which events are worth a write. Pure. As the Kubernetes recorders do it:
//   - the same event again within kSeriesEnd counts up in the first one's series, which is written
//     at most every kSeriesWrite;
//   - each object may have kBurst events of one reason at once, then one per kRefill: what is more
//     is dropped. (Kubernetes counts all reasons together, but then who comes and goes takes the
//     words from whoever says that all is over.)
// Thread-compatible; holds at most kMaxSeries events and as many allowances.
class EventSeries {
 public:
  static constexpr Duration kSeriesEnd = 360s;
  static constexpr Duration kSeriesWrite = 10s;
  static constexpr int kBurst = 25;
  static constexpr Duration kRefill = 300s;
  static constexpr size_t kMaxNote = 1024;
  static constexpr size_t kMaxSeries = 4096;

  // What to write now, if anything. `seed` makes the names of two processes differ.
  explicit EventSeries(uint64_t seed) : seed_(seed) {}
  std::optional<EventWrite> Add(Event event, Time now, std::chrono::system_clock::time_point wall);
  // Series whose count has grown and was held back. When `all`, at once.
  std::vector<EventWrite> TakeDue(Time now, bool all);

 private:
  struct Series {
    EventWrite write;
    Time written{};
    Time seen{};
    bool unwritten = false;
  };
  struct Allowance {
    double left = kBurst;
    Time at{};
  };

  bool MaySpend(const Event& event, Time now);
  void Forget(Time now);

  const uint64_t seed_;
  uint64_t made_ = 0;
  std::map<Event, Series> series_;
  std::map<std::pair<std::string, std::string>, Allowance> allowances_;  // by uid and reason
};

// As Event of events.k8s.io/v1. `controller` and `instance` say who reports.
nlohmann::json ToJson(const EventWrite& write, const std::string& controller,
                      const std::string& instance);
// Of a write with count > 1: the merge patch of the Event that is there.
nlohmann::json SeriesPatch(const EventWrite& write);

}  // namespace grapevine::controller
