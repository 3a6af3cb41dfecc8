#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "operator/api/member.h"
#include "operator/base/clock.h"

namespace grapevine::membership {

using api::MemberId;

// The rules of who is in the roster, as a pure function of what pods and registrants show at `now`.

inline constexpr Duration kJoinBatch = 100ms;  // from the first one ready; leaves never wait
inline constexpr Duration kBrokenStream = 1s;  // a stream may be broken this long
inline constexpr Duration kSilence = 5s;       // reports come every second

// How a registrant gets its model.
enum class Role : uint8_t {
  kUnassigned,
  kSeed,        // first member: initialise from the job's seed
  kCheckpoint,  // first member: load the checkpoint that the decision names
  kKeep,        // first member: go on with the job's state that it still holds
  kCopy,        // joiner: copy from a donor
};
std::string_view RoleName(Role role);  // "seed", "checkpoint", ...

// The model that a registrant has, as it said when it registered (kNothing, kState) or became
// ready. It counts only as long as it is what the registrant was last told to have: whoever was
// told to begin otherwise since is overwriting it.
enum class Holds : uint8_t {
  kNothing,
  kSeed,
  kCheckpoint,
  kCopy,   // copied from a member since it registered: as fresh as the roster's
  kState,  // left over from an earlier membership of this job
};

// One per control stream that has registered, member or waiting. A reconnect that presented the id
// of a member updates that member's entry; any other registration is a new entry with a new id.
struct Registrant {
  MemberId id = 0;
  std::string pod;
  bool member = false;               // in the roster now
  bool leaving = false;              // said that it leaves (SIGTERM)
  std::optional<Time> broken_since;  // set while the stream is broken
  Time last_report{};                // registration counts as one

  // The rest matters while it waits.
  std::optional<Time> ready_since;  // it could begin with what it holds
  Role assigned = Role::kUnassigned;
  std::string assigned_checkpoint;  // for Role::kCheckpoint
  Holds holds = Holds::kNothing;
  std::string held_checkpoint;  // for Holds::kCheckpoint
};

// Terminating: has a deletionTimestamp. Disrupted: has a DisruptionTarget condition.
enum class PodState : uint8_t { kRunning, kTerminating, kDisrupted, kFinished };

struct Pod {
  std::string name;
  PodState state = PodState::kRunning;
};

struct Observation {
  std::vector<Registrant> registrants;
  std::vector<Pod> pods;   // one that is not listed is gone; a registrant of an unlisted pod waits
  std::string checkpoint;  // the job's newest complete one, empty for none
  bool finishing = false;  // `finish` was sent
};

struct Removal {
  MemberId id = 0;
  std::string reason;  // "its pod worker-3-0 is being deleted"
};

struct Assignment {
  MemberId id = 0;
  Role role = Role::kUnassigned;
  std::string checkpoint;  // for kCheckpoint
  std::string reason;
};

// What an empty roster begins again from; the hub sets the progress accordingly.
enum class Start : uint8_t {
  kNone,        // the roster was not empty, or still is
  kSeed,        // progress is zero
  kCheckpoint,  // progress is the checkpoint's
  kSurvivor,    // progress stays
};

struct Decision {
  std::vector<MemberId> admit;     // ascending
  std::vector<Removal> remove;     // members that leave, ascending
  std::vector<Removal> forget;     // registrants that waited and are gone
  std::vector<Assignment> assign;  // tell these waiting ones their new role
  std::vector<MemberId> stop;      // waiting ones to whom the job has nothing to offer any more
  Start start = Start::kNone;
  std::string checkpoint;     // for Start::kCheckpoint
  bool leave_finish = false;  // all were lost after `finish`: train on from what is left
  // When to decide again even if nothing happens; nullopt for never.
  std::optional<Time> next_check;

  bool changes_roster() const { return !admit.empty() || !remove.empty(); }
};

// Leaves: at once when the pod is terminating, disrupted, finished or gone, when the member says
// so, or when its pod has registered anew; after kBrokenStream or kSilence otherwise. Joins:
// everyone who is ready, kJoinBatch after the first of them was, or with any leave.
//
// Beside a roster only copies are admitted, and everyone who waits is told to copy. With an empty
// roster, those that hold the job's state (kState, kCopy) begin with it and the others copy from
// them; where nobody holds it, everyone loads `checkpoint`; where there is none, everyone begins
// from the seed. Roles are assigned again as this changes. While finishing nobody is admitted and
// who waits is stopped, unless all members are lost.
//
// Whoever calls it reads all pending reports first, so that a busy hub calls nobody silent, and
// then applies the whole decision. Pure; O(n log n).
Decision Decide(const Observation& observation, Time now);

// One line per fact, for logs and scenario tests.
std::string Describe(const Decision& decision, Time now);

}  // namespace grapevine::membership
