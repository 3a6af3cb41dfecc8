#pragma once

#include <utility>
#include <vector>

namespace grapevine::optimizer {

struct ScheduleOptions {
  double learning_rate = 0;        // for the batch of one member
  double warmup_data_epochs = 0;   // may be a fraction; 0 for none
  std::vector<double> milestones;  // data epochs, ascending
  double factor = 0.1;
};

// The learning rate as a function of where the job is:
//
//   learning_rate · members · warm-up · factor^(milestones passed)
//
// One gradient moves the mean of all models by 1/members of itself, so the rate of one member is
// that of synchronous SGD with the global batch: linear in the roster's size (Goyal et al. 2017),
// with a warm-up that rises linearly from a tenth to 1. When the roster changes, the rate follows
// over about a tenth of a data epoch, since a jump of it upsets the momentum; the first call takes
// the roster as it is.
//
// Thread-compatible.
class Schedule {
 public:
  explicit Schedule(ScheduleOptions options) : options_(std::move(options)) {}

  // `data_epochs`: position of the job, passes over the data by all members together. It may stand
  // still or go back (a checkpoint was restored). members >= 1.
  double Rate(double data_epochs, int members);

 private:
  const ScheduleOptions options_;
  double smooth_members_ = 0;  // 0 before the first call
  double last_data_epochs_ = 0;
};

}  // namespace grapevine::optimizer
