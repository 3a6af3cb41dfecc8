#include "operator/training_job/learning.h"

#include <algorithm>
#include <cmath>

#include "fmt/format.h"

namespace grapevine::training_job {
namespace {

constexpr double kGuessingShare = 0.98;
constexpr char kRemedies[] =
    "training has diverged or does not begin; a lower learningRate, maxGradientNorm, "
    "learningRateScaling Sqrt or a longer warm-up may help";

bool PatienceIsOver(const Observed& observed) {
  const topology::Snapshot& hub = observed.hub;
  if (!hub.guessing_since) return false;
  const int64_t samples = hub.samples - *hub.guessing_since;
  const int64_t members = std::max<int64_t>(1, static_cast<int64_t>(hub.graph->size()));
  return samples >= kPatienceSteps * members * observed.job.spec.training.batch_size &&
         static_cast<double>(samples) >= kPatienceShare * static_cast<double>(hub.samples_total);
}

}  // namespace

double GuessingLoss(const api::Training& training) {
  return kGuessingShare * std::log(api::ClassesOf(training.dataset));
}

std::optional<std::string> JudgeLearning(const Observed& observed) {
  const topology::Snapshot& hub = observed.hub;
  const api::Training& training = observed.job.spec.training;
  bool guessing = PatienceIsOver(observed);
  if (const auto& result = hub.final_result; result && result->error.empty()) {
    if (!std::isfinite(result->loss)) {
      return fmt::format("the final loss is not a finite number: {}", kRemedies);
    }
    guessing |= hub.guessing_since && result->loss >= GuessingLoss(training);
  }
  if (!guessing) return std::nullopt;
  const int32_t classes = api::ClassesOf(training.dataset);
  return fmt::format("the loss is that of guessing among {} classes, {:.2f}, or above: {}", classes,
                     std::log(classes), kRemedies);
}

}  // namespace grapevine::training_job
