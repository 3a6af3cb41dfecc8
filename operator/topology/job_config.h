#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "operator/api/member.h"

namespace grapevine::topology {

struct JobKey {
  std::string name_space;
  std::string name;

  auto operator<=>(const JobKey&) const = default;
};

struct JobConfig {
  std::string uid;
  std::string spec_json;    // with all defaults, for Assign
  int64_t batch_size = 0;   // of one member
  int64_t data_epochs = 0;  // of the whole job
  // Used by an earlier leader, as the CommunicationGraph says; the first ones here are the next.
  uint64_t epochs_before = 0;
  api::MemberId members_before = 0;
};

}  // namespace grapevine::topology
