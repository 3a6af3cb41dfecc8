#include "operator/training_job/learning.h"

#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/training_job/job_status.h"

namespace grapevine::training_job {
namespace {

using ::testing::Contains;
using ::testing::Field;
using ::testing::HasSubstr;

constexpr double kNotANumber = std::numeric_limits<double>::quiet_NaN();

// Of two members with batches of 10: 100 steps of each are 2,000 samples, and 5 % of the job are
// 5,000.
Observed Training(std::optional<int64_t> guessing_since, int64_t samples) {
  Observed observed;
  observed.job.metadata.name = "job";
  observed.job.spec.training.batch_size = 10;
  observed.hub.graph = std::make_shared<const graph::Graph>(
      *graph::Graph::MakeComplete({{1, graph::Side::kActive}, {2, graph::Side::kPassive}}));
  observed.hub.training_since = Time(1s);
  observed.hub.samples_total = 100'000;
  observed.hub.samples = samples;
  observed.hub.guessing_since = guessing_since;
  return observed;
}

TEST(Learning, GuessingCostsTheLogarithmOfTheClasses) {
  api::Training training;
  EXPECT_NEAR(GuessingLoss(training), 2.2565, 1e-4);
  training.dataset = {.name = api::DatasetName::kSynthetic, .classes = 2};
  EXPECT_NEAR(GuessingLoss(training), 0.6793, 1e-4);
}

TEST(Learning, IsDoubtedOnceTheLossWasHighForLongEnough) {
  struct Row {
    std::optional<int64_t> since;
    int64_t samples;
    int64_t total;
    bool doubted;
  };
  for (const Row& row : {Row{std::nullopt, 90'000, 100'000, false},
                         {0, 4'999, 100'000, false},
                         {0, 5'000, 100'000, true},
                         {50'000, 54'999, 100'000, false},
                         {50'000, 55'000, 100'000, true},
                         {0, 1'999, 20'000, false},  // more than a twentieth, but few steps
                         {0, 2'000, 20'000, true}}) {
    Observed observed = Training(row.since, row.samples);
    observed.hub.samples_total = row.total;
    EXPECT_EQ(JudgeLearning(observed).has_value(), row.doubted)
        << row.samples << " of " << row.total;
  }
}

TEST(Learning, AFinalLossCountsBesideThatOfTraining) {
  struct Row {
    double loss;
    std::optional<int64_t> since;
    bool doubted;
  };
  const double infinity = std::numeric_limits<double>::infinity();
  for (const Row& row : {Row{0.1, std::nullopt, false},
                         {2.4, std::nullopt, false},  // too sure of itself, but it has learned
                         {2.4, 99'999, true},
                         {2.0, 99'999, false},
                         {kNotANumber, std::nullopt, true},
                         {infinity, std::nullopt, true}}) {
    Observed observed = Training(row.since, 100'000);
    observed.hub.final_result = topology::Snapshot::Final{.loss = row.loss, .samples = 10};
    EXPECT_EQ(JudgeLearning(observed).has_value(), row.doubted) << row.loss;
    observed.hub.final_result->error = "no disk";
    EXPECT_FALSE(JudgeLearning(observed)) << row.loss;
  }
}

Decision StatusOf(const Observed& observed, const Standing& standing) {
  Decision decision{.status = observed.job.status};
  FillStatus(observed, standing, decision);
  return decision;
}

TEST(Learning, IsDoubtedInTheConditionAndOnceInAnEvent) {
  Observed observed = Training(0, 50'000);
  Decision decision = StatusOf(observed, {.members = 2});
  const auto running = [&] {
    return *api::FindCondition(decision.status.conditions, api::kRunning);
  };
  EXPECT_EQ(running().status, "True");
  EXPECT_EQ(running().reason, "NotLearning");
  EXPECT_THAT(running().message, HasSubstr("guessing among 10 classes, 2.30"));
  EXPECT_THAT(decision.events, Contains(Field(&JobEvent::reason, "NotLearning")).Times(1));

  observed.job.status = decision.status;
  observed.hub.samples = 60'000;
  decision = StatusOf(observed, {.members = 2});
  EXPECT_EQ(running(), *api::FindCondition(observed.job.status.conditions, api::kRunning));
  EXPECT_THAT(decision.events, ::testing::IsEmpty());

  observed.job.status = decision.status;
  observed.hub.guessing_since.reset();
  decision = StatusOf(observed, {.members = 2});
  EXPECT_EQ(running().reason, "Training");
}

TEST(Learning, IsDoubtedWhenTheJobHasSucceeded) {
  Observed observed = Training(std::nullopt, 100'000);
  observed.hub.final_result = topology::Snapshot::Final{.loss = kNotANumber, .samples = 10};
  const Standing standing{.members = 2, .ending = Ending{true, "Completed", "all was done"}};
  const Decision decision = StatusOf(observed, standing);
  const api::Condition* succeeded = api::FindCondition(decision.status.conditions, api::kSucceeded);
  EXPECT_EQ(succeeded->status, "True");
  EXPECT_EQ(succeeded->reason, "NotLearning");
  EXPECT_THAT(succeeded->message, HasSubstr("all was done; the final loss is not a finite"));
  EXPECT_THAT(decision.events, Contains(::testing::AllOf(Field(&JobEvent::reason, "NotLearning"),
                                                         Field(&JobEvent::warning, true))));
}

TEST(Learning, DoesNotChangeWhyAJobFailed) {
  const Observed observed = Training(0, 50'000);
  const Standing standing{.ending = Ending{false, "Stopped", "stopped by the user"}};
  const Decision decision = StatusOf(observed, standing);
  const api::Condition* failed = api::FindCondition(decision.status.conditions, api::kFailed);
  EXPECT_EQ(failed->reason, "Stopped");
  EXPECT_THAT(failed->message, HasSubstr("stopped by the user; the loss is that of guessing"));
}

}  // namespace
}  // namespace grapevine::training_job
