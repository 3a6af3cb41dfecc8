#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace grapevine::topology {

struct JobKey {
  std::string name_space;
  std::string name;

  auto operator<=>(const JobKey&) const = default;
};

struct JobConfig {
  std::string uid;
  std::string spec_json;     // what of it workers see, as in Assign
  int64_t batch_size = 0;    // of one member
  int64_t data_epochs = 0;   // of the whole job
  double guessing_loss = 0;  // from which on members have learned nothing; 0 where that is unknown
};

}  // namespace grapevine::topology
