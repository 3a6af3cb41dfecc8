#pragma once

#include <utility>
#include <vector>

namespace grapevine::optimizer {

// How the rate grows with the roster.
enum class Scaling { kLinear, kSqrt, kNone };

struct ScheduleOptions {
  double learning_rate = 0;  // for the batch of one member
  Scaling scaling = Scaling::kLinear;
  double warmup_data_epochs = 0;   // may be a fraction; 0 for none
  std::vector<double> milestones;  // data epochs, ascending
  double factor = 0.1;
};

// The learning rate as a function of where the job is:
//
//   learning_rate · scaling(members followed) · warm-up · factor^(milestones passed)
//
// One gradient moves the mean of all models by 1/members of itself, so with Linear the rate of one
// member is that of synchronous SGD with the global batch (Goyal et al. 2017, arXiv 1706.02677,
// §2.1). That holds while the loss is smooth enough for so large a batch; beyond it Sqrt
// (Krizhevsky 2014, arXiv 1404.5997) or None is what still converges. The warm-up asked for rises
// linearly from a tenth to 1.
//
// The members followed are 1 before a member's first step and then the roster's size, but they
// double in no fewer than kStepsToDouble of its own steps, which is Goyal's gradual warm-up (§2.2)
// for any roster: a data epoch is few own steps where many share it, and a roster that grows from 2
// to 8 is followed in as many steps as if it had always been 8 and began at 2. A roster that
// shrinks is followed at once: without the others to average with, their rate is too high.
//
// Thread-compatible.
class Schedule {
 public:
  static constexpr double kStepsToDouble = 50;

  explicit Schedule(ScheduleOptions options) : options_(std::move(options)) {}

  // The rate of the next step; to be called once for each. `data_epochs`: position of the job,
  // passes over the data by all members together. It may stand still or go back (a checkpoint was
  // restored). members >= 1.
  double NextRate(double data_epochs, int members);

 private:
  const ScheduleOptions options_;
  double followed_ = 1;
};

}  // namespace grapevine::optimizer
