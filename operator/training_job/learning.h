#pragma once

#include <optional>
#include <string>

#include "operator/training_job/observe.h"

namespace grapevine::training_job {

// How long the loss may stay that of guessing, as any job's does at first: own steps of each
// member, and this share of the job.
inline constexpr int64_t kPatienceSteps = 100;
inline constexpr double kPatienceShare = 0.05;

// The loss from which on a model does no better than guess: ln classes is that of one that gives
// each class the same chance, less 2 %, by which a mean over a few batches strays.
double GuessingLoss(const api::Training& training);

// What is to be told of a job that trains, or has a result, and does not learn; nullopt while there
// is nothing to tell. The text is the same as long as the matter is. A test set's loss can be high
// because a model is too sure of what it knows, so a final one counts only beside that of training.
// Pure.
std::optional<std::string> JudgeLearning(const Observed& observed);

}  // namespace grapevine::training_job
