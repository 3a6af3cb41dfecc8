#pragma once

#include <cstdint>
#include <random>
#include <string>

#include "absl/status/status.h"
#include "operator/base/clock.h"
#include "operator/controller/api_client.h"

namespace grapevine::controller {

// What to do next to keep a copy of a resource: list, watch from where the copy is, or wait. Pure:
// it is told what happened and when. The rules are client-go's:
//   - the first list asks for the newest there is, where client-go takes what the server has at
//     hand: an earlier process may have acted on newer state, and what this one did by older state
//     would undo that. Later ones must be as new as what was seen, so that the copy never goes back
//     in time; after 410 Gone or an answer that the version is too large, the next list asks for
//     the newest there is, at once;
//   - the watch starts from the version of the list, and moves on with each event that was applied;
//   - a watch that ends in order is opened again from there, without another list;
//   - 410 Gone: list again at once. 429 and 5xx: back off, then watch again. Other errors: back
//     off, then list again;
//   - a watch that lasts less than a second and brings nothing counts as an error, so that nothing
//     loops;
//   - the backoff doubles from about 1 s to about 1 min, is never shorter than what the server asks
//     for, and starts anew after 2 calm minutes.
// Thread-compatible.
class ListWatchState {
 public:
  enum class Step { kList, kWatch, kWait };
  struct Next {
    Step step;
    Time until{};  // of kWait
  };

  explicit ListWatchState(uint64_t seed) : rng_(seed) {}

  Next NextStep(Time now) const;
  // To watch from.
  const std::string& resource_version() const { return resource_version_; }
  // To list at; see ListOptions.
  std::string list_version() const;

  void OnListed(std::string resource_version);
  void OnListFailed(const absl::Status& status, Time now);
  void OnWatchOpened(Time now);
  void OnWatchRefused(const absl::Status& status, Time now);
  // After the event was applied to the copy; `resource_version` is its object's, or empty. Not for
  // one of type kError.
  void OnEvent(std::string resource_version);
  // `code`: of the Status that ended the watch; 0 when it ended in order. `retry_after`: what the
  // server asked for.
  void OnWatchEnded(int code, Time now, Duration retry_after = {});

 private:
  void BackOff(Time now, Duration at_least = {});

  std::mt19937_64 rng_;
  bool must_list_ = true;
  bool must_be_newest_ = true;  // the list
  bool fresh_list_ = false;     // no event since the last list
  std::string resource_version_;
  int failures_ = 0;
  Time last_failure_{};
  Time not_before_{};
  Time watch_opened_{};
  bool watch_brought_something_ = false;
};

}  // namespace grapevine::controller
