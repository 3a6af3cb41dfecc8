#include "worker/optimizer/schedule.h"

#include <algorithm>
#include <cmath>

namespace grapevine::optimizer {
namespace {

constexpr double kFirstWarmup = 0.1;

double Scaled(Scaling scaling, double members) {
  switch (scaling) {
    case Scaling::kLinear:
      return members;
    case Scaling::kSqrt:
      return std::sqrt(members);
    case Scaling::kNone:
      break;
  }
  return 1;
}

}  // namespace

double Schedule::NextRate(double data_epochs, int members) {
  followed_ = std::min(followed_, static_cast<double>(members));
  double rate = options_.learning_rate * Scaled(options_.scaling, followed_);
  followed_ *= std::exp2(1 / kStepsToDouble);
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
