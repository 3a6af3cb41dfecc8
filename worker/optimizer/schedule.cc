#include "worker/optimizer/schedule.h"

#include <algorithm>
#include <cmath>

namespace grapevine::optimizer {
namespace {

constexpr double kFirstWarmup = 0.1;
constexpr double kRosterDataEpochs = 0.1;  // time constant with which the roster's size is followed

}  // namespace

double Schedule::Rate(double data_epochs, int members) {
  const double passed = std::max(0.0, data_epochs - last_data_epochs_);
  last_data_epochs_ = data_epochs;
  if (smooth_members_ == 0) smooth_members_ = members;
  smooth_members_ += (members - smooth_members_) * (1 - std::exp(-passed / kRosterDataEpochs));

  double rate = options_.learning_rate * smooth_members_;
  if (data_epochs < options_.warmup_data_epochs) {
    const double done = std::max(0.0, data_epochs) / options_.warmup_data_epochs;
    rate *= kFirstWarmup + (1 - kFirstWarmup) * done;
  }
  for (double milestone : options_.milestones) {
    if (data_epochs >= milestone) rate *= options_.factor;
  }
  return rate;
}

}  // namespace grapevine::optimizer
