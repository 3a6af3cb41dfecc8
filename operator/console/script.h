#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "operator/base/clock.h"

namespace grapevine::console {

// When a scripted event is due: after so long, or once so much of the job is done.
struct Due {
  enum class Kind { kElapsed, kFraction };
  Kind kind = Kind::kElapsed;
  Duration elapsed{};   // since the job was submitted
  double fraction = 0;  // of the job's samples, 0..1

  bool Reached(Duration now, double progress) const {
    return kind == Kind::kElapsed ? now >= elapsed : progress >= fraction;
  }
};

// What a key, or an entry of --events, does to the workers.
struct Action {
  enum class Kind { kScale, kKill, kSlow, kPause };
  Kind kind = Kind::kScale;
  int workers = 0;    // the new number of workers (kScale), else how many are hit
  double amount = 0;  // kSlow: how many times slower; kPause: seconds

  // "scale=6", "kill=1", "slow=1x10", "pause=1x20".
  std::string Text() const;
};

struct ScriptedEvent {
  Due due;
  Action action;
  std::string text;  // as written
};

// Reads "30%:scale=6,50%:kill=1,20s:slow=1x10,5s:pause=1x20" (spaces around commas are fine; empty
// means none). InvalidArgument names every wrong entry and what is allowed.
absl::StatusOr<std::vector<ScriptedEvent>> ParseScript(std::string_view text);

}  // namespace grapevine::console
