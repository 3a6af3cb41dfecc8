#include "worker/train/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <future>
#include <limits>
#include <semaphore>
#include <span>
#include <thread>

#include "tests/worker/train/training_rig.h"

namespace grapevine::train {
namespace {

// Counts steps and lets a test wait for one.
class Steps {
 public:
  std::function<void()> Counter() {
    return [this] { steps_.release(); };
  }
  void Await(int64_t steps) {
    for (int64_t i = 0; i < steps; ++i) steps_.acquire();
  }

 private:
  std::counting_semaphore<> steps_{0};
};

// A small problem for what is not about learning.
TrainingRig::Options Small() {
  return {.source = {.name = "synthetic", .shape = {1, 4, 4}, .classes = 3, .samples = 50},
          .batch_size = 8};
}

absl::StatusOr<Evaluation> EvaluateNow(Trainer& trainer) {
  std::promise<absl::StatusOr<Evaluation>> evaluation;
  trainer.Evaluate([&](absl::StatusOr<Evaluation> result) { evaluation.set_value(result); });
  return evaluation.get_future().get();
}

TEST(Trainer, OneMemberAloneLearnsTheDigits) {
  Steps steps;
  TrainingRig rig({.on_step = steps.Counter()});
  constexpr int64_t kDataEpochs = 10;
  rig.GrantDataEpochs(kDataEpochs);
  rig.trainer->Start();
  rig.trainer->Resume();
  steps.Await(kDataEpochs * rig.batches);
  const auto evaluation = EvaluateNow(*rig.trainer);
  ASSERT_TRUE(evaluation.ok());
  EXPECT_GE(evaluation->accuracy, 0.97);
  EXPECT_EQ(evaluation->samples, 360);
  const TrainerCounts counts = rig.trainer->counts();
  EXPECT_EQ(counts.steps, kDataEpochs * rig.batches);
  EXPECT_EQ(counts.samples, kDataEpochs * 1437);
  EXPECT_EQ(counts.unleased_samples, 0);
  EXPECT_EQ(counts.skipped_steps, 0);
  EXPECT_EQ(counts.staleness[0], static_cast<uint64_t>(counts.steps));
  EXPECT_LT(counts.loss, 0.1);
  EXPECT_GT(counts.samples_per_second, 0);
  EXPECT_DOUBLE_EQ(counts.learning_rate, 0.05);
}

TEST(Trainer, OneMemberAloneComesToTheSameWeightsEachTime) {
  std::vector<float> weights[2];
  for (auto& w : weights) {
    Steps steps;
    TrainingRig rig({.on_step = steps.Counter()});
    rig.GrantDataEpochs(2);
    rig.trainer->Start();
    rig.trainer->Resume();
    steps.Await(2 * rig.batches);
    rig.trainer->Stop();
    w = rig.Weights();
  }
  EXPECT_EQ(weights[0], weights[1]);
}

TEST(Trainer, NothingIsTrainedBeforeResume) {
  TrainingRig rig(Small());
  const auto before = rig.Weights();
  rig.GrantDataEpochs(1);
  rig.trainer->Start();
  ASSERT_TRUE(EvaluateNow(*rig.trainer).ok());  // works while paused
  EXPECT_EQ(rig.trainer->counts().steps, 0);
  EXPECT_TRUE(std::isnan(rig.trainer->counts().loss));
  rig.trainer->Stop();
  EXPECT_EQ(rig.Weights(), before);
}

TEST(Trainer, NoStepTouchesTheStoreWhilePaused) {
  Steps steps;
  auto options = Small();
  options.on_step = steps.Counter();
  TrainingRig rig(options);
  rig.GrantDataEpochs(1000);
  rig.trainer->Start();
  for (int round = 0; round < 20; ++round) {
    rig.trainer->Resume();
    steps.Await(1);
    rig.trainer->Pause();
    const auto weights = rig.Weights();
    const int64_t done = rig.trainer->counts().steps;
    std::this_thread::yield();
    EXPECT_EQ(rig.Weights(), weights);
    EXPECT_EQ(rig.trainer->counts().steps, done);
  }
}

TEST(Trainer, EvaluationLeavesTrainingAsItWas) {
  std::vector<float> weights[2];
  for (int with_evaluation = 0; with_evaluation < 2; ++with_evaluation) {
    Steps steps;
    auto options = Small();
    options.on_step = steps.Counter();
    TrainingRig rig(options);
    rig.GrantDataEpochs(4);
    rig.trainer->Start();
    rig.trainer->Resume();
    for (int64_t i = 0; i < 4 * rig.batches; ++i) {
      if (with_evaluation) {
        EXPECT_TRUE(EvaluateNow(*rig.trainer).ok());
      }
      steps.Await(1);
    }
    rig.trainer->Stop();
    weights[with_evaluation] = rig.Weights();
  }
  EXPECT_EQ(weights[0], weights[1]);
}

TEST(Trainer, TrainsAtRandomWhileTheHubIsAway) {
  Steps steps;
  auto options = Small();
  options.on_step = steps.Counter();
  TrainingRig rig(options);
  rig.GrantDataEpochs(1);
  rig.trainer->Start();
  rig.trainer->Resume();
  rig.leases->SetConnected(false);
  steps.Await(rig.batches + 5);
  rig.trainer->Pause();
  const TrainerCounts counts = rig.trainer->counts();
  EXPECT_GE(counts.unleased_samples, 5 * 2);
  EXPECT_EQ(counts.samples - counts.unleased_samples, 50);
  EXPECT_EQ(rig.leases->Progress(), (std::vector<LeaseProgress>{{1, rig.batches}}));
}

TEST(Trainer, RecalledBatchesAreNotTrainedOn) {
  Steps steps;
  auto options = Small();
  options.on_step = steps.Counter();
  TrainingRig rig(options);
  rig.GrantDataEpochs(1);
  rig.trainer->Start();
  rig.trainer->Resume();
  steps.Await(1);
  rig.trainer->Pause();
  const LeaseReturn returned = rig.leases->Recall(1);
  EXPECT_EQ(returned.first_unused, rig.trainer->counts().steps);
  EXPECT_EQ(returned.batches_done, rig.trainer->counts().steps);
  // What comes after is trained on, although batches of the recalled lease were prepared before it.
  const int64_t before = rig.trainer->counts().steps;
  const int64_t left = rig.batches - returned.first_unused;
  // On a busy machine all may be done before Pause: then nothing is left to grant again.
  if (left > 0) {
    ASSERT_TRUE(rig.leases->Add(2, {{0, returned.first_unused, rig.batches}}).ok());
  }
  rig.trainer->Resume();
  if (before > 1) steps.Await(before - 1);
  steps.Await(left);
  rig.trainer->Pause();
  EXPECT_EQ(rig.trainer->counts().samples, 50);
}

TEST(Trainer, BadWeightsAreReportedAndNothingIsApplied) {
  std::promise<absl::Status> failure;
  auto options = Small();
  options.on_step = [] { ADD_FAILURE() << "a step was applied"; };
  options.on_failure = [&](absl::Status status) { failure.set_value(status); };
  TrainingRig rig(options);
  for (uint32_t chunk = 0; chunk < rig.store->chunks(); ++chunk) {
    rig.store->LoadWeights(chunk, std::vector<float>(rig.store->ChunkElements(chunk),
                                                     std::numeric_limits<float>::quiet_NaN()));
  }
  rig.GrantDataEpochs(10);
  rig.trainer->Start();
  rig.trainer->Resume();
  const absl::Status status = failure.get_future().get();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("learningRate"));
  rig.trainer->Pause();
  EXPECT_EQ(rig.trainer->counts().steps, 0);
  EXPECT_EQ(rig.trainer->counts().skipped_steps, 20);
}

// What the roster makes of the rate of Small() in a step, counted from 0: see Schedule.
double RateOfMany(int64_t step) {
  return 0.05 * std::exp2(static_cast<double>(step) / optimizer::Schedule::kStepsToDouble);
}

TEST(Trainer, TheLearningRateFollowsTheRosterStepByStep) {
  Steps steps;
  auto options = Small();
  options.on_step = steps.Counter();
  TrainingRig rig(options);
  rig.trainer->SetProgress(4, 0);
  rig.GrantDataEpochs(1);
  rig.trainer->Start();
  rig.trainer->Resume();
  steps.Await(rig.batches);
  rig.trainer->Pause();
  EXPECT_NEAR(rig.trainer->counts().learning_rate, RateOfMany(rig.batches - 1), 1e-9);
}

// Leases are long: while one member works on the first data epoch, another has one of the next.
TEST(Trainer, TheLearningRateFollowsTheJobAndNotTheBatch) {
  Steps steps;
  auto options = Small();
  options.on_step = steps.Counter();
  options.milestones = {2};
  TrainingRig rig(options);
  rig.trainer->Start();
  rig.trainer->SetProgress(1, 0.5);
  rig.trainer->Resume();
  ASSERT_TRUE(rig.leases->Add(1, {{5, 0, 1}}).ok());
  steps.Await(1);
  rig.trainer->Pause();
  EXPECT_DOUBLE_EQ(rig.trainer->counts().learning_rate, 0.05);
  rig.trainer->SetProgress(1, 2.5);
  rig.trainer->Resume();
  ASSERT_TRUE(rig.leases->Add(2, {{0, 0, 1}}).ok());
  steps.Await(1);
  rig.trainer->Pause();
  EXPECT_DOUBLE_EQ(rig.trainer->counts().learning_rate, 0.005);
}

TEST(Trainer, TheLearningRateGoesOnUntilItIsToldAgain) {
  Steps steps;
  auto options = Small();
  options.on_step = steps.Counter();
  options.milestones = {2};
  TrainingRig rig(options);
  rig.trainer->Start();
  rig.trainer->SetProgress(4, 1.5);  // the four of them come to 2 in an eighth of a data epoch each
  rig.trainer->Resume();
  rig.GrantDataEpochs(1);
  steps.Await(rig.batches);
  rig.trainer->SetProgress(4, 1.9);  // of a little earlier
  ASSERT_TRUE(rig.leases->Add(2, {{1, 0, 1}}).ok());
  steps.Await(1);
  rig.trainer->Pause();
  EXPECT_NEAR(rig.trainer->counts().learning_rate, 0.1 * RateOfMany(rig.batches), 1e-9);
}

// How far one step moves the weights of a rig with these options.
double LengthOfOneStep(TrainingRig::Options options) {
  Steps steps;
  options.on_step = steps.Counter();
  TrainingRig rig(options);
  std::vector<float> before(rig.store->elements());
  rig.store->Read(before);
  rig.trainer->Start();
  rig.trainer->Resume();
  EXPECT_TRUE(rig.leases->Add(1, {{0, 0, 1}}).ok());
  steps.Await(1);
  rig.trainer->Pause();
  std::vector<float> after(rig.store->elements());
  rig.store->Read(after);
  double squares = 0;
  for (size_t i = 0; i < after.size(); ++i) squares += std::pow(after[i] - before[i], 2);
  return std::sqrt(squares);
}

TEST(Trainer, AGradientThatIsTooLongIsShortened) {
  auto options = Small();
  const double free = LengthOfOneStep(options);
  options.max_gradient_norm = 1e6;
  EXPECT_EQ(LengthOfOneStep(options), free);
  options.max_gradient_norm = 0.01;
  // The first step of Nesterov is 1.9 gradients, and weights decay a little besides.
  const double clipped = LengthOfOneStep(options);
  EXPECT_NEAR(clipped, 0.05 * 1.9 * 0.01, 2e-4);
  EXPECT_LT(clipped, free / 10);
}

TEST(Trainer, StopAnswersWhatIsPending) {
  TrainingRig rig(Small());
  rig.trainer->Start();
  std::atomic<int> answers = 0;
  for (int i = 0; i < 100; ++i) {
    rig.trainer->Evaluate([&](const absl::StatusOr<Evaluation>& result) {
      if (!result.ok()) {
        EXPECT_EQ(result.status().code(), absl::StatusCode::kCancelled);
      }
      ++answers;
    });
  }
  rig.trainer->Stop();
  EXPECT_EQ(answers, 100);
  rig.trainer->Evaluate([&](const absl::StatusOr<Evaluation>& result) {
    EXPECT_EQ(result.status().code(), absl::StatusCode::kCancelled);
    ++answers;
  });
  EXPECT_EQ(answers, 101);
  rig.trainer->Stop();
}

TEST(Trainer, AveragingWithAPeerGoesOnDuringSteps) {
  TrainingRig rig(Small());
  rig.leases->SetConnected(false);  // steps as long as it takes
  rig.trainer->Start();
  rig.trainer->Resume();
  std::jthread peer([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      for (uint32_t chunk = 0; chunk < rig.store->chunks(); ++chunk) {
        rig.store->Mix(chunk, [](std::span<float> weights) {
          for (float& w : weights) w *= 0.999f;
        });
      }
      rig.store->CountExchange();
    }
  });
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (rig.trainer->counts().staleness_sum == 0 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  peer = {};
  rig.trainer->Pause();
  const TrainerCounts counts = rig.trainer->counts();
  EXPECT_GT(counts.staleness_sum, 0);
  uint64_t bucketed = 0;
  for (uint64_t count : counts.staleness) bucketed += count;
  EXPECT_EQ(bucketed, static_cast<uint64_t>(counts.steps));
  EXPECT_LE(counts.blocked_seconds, counts.trainer_seconds);
}

TEST(Trainer, FinalizeLeavesTheWeightsAloneAndEstimatesTheStatisticsAnew) {
  Steps steps;
  TrainingRig::Options options{
      .source = {.name = "synthetic", .shape = {3, 8, 8}, .classes = 3, .samples = 30},
      .model = "resnet20",
      .batch_size = 4,
      .on_step = steps.Counter()};
  TrainingRig rig(options);
  rig.GrantDataEpochs(1);
  rig.trainer->Start();
  rig.trainer->Resume();
  steps.Await(rig.batches);
  rig.trainer->Pause();
  const auto before = rig.Weights();
  std::promise<absl::StatusOr<Finalized>> promise;
  rig.trainer->Finalize([&](absl::StatusOr<Finalized> result) { promise.set_value(result); });
  const auto finalized = promise.get_future().get();
  ASSERT_TRUE(finalized.ok());
  EXPECT_EQ(finalized->test_samples, rig.dataset->size(dataset::Split::kTest));
  EXPECT_GT(finalized->evaluation_seconds, 0);
  const size_t trained = rig.model->layout().trained_size;
  const auto after = rig.Weights();
  EXPECT_TRUE(std::equal(before.begin(), before.begin() + trained, after.begin()));
  EXPECT_FALSE(std::equal(before.begin() + trained, before.end(), after.begin() + trained));
  rig.trainer->Stop();
}

TEST(Trainer, SlicesOfTheStoreAndOfACopyAddUpToTheEvaluation) {
  TrainingRig rig(
      {.source = {.name = "synthetic", .shape = {1, 4, 4}, .classes = 3, .samples = 300},
       .batch_size = 8});
  auto copy = std::make_shared<store::ParameterStore>(rig.store->elements(), 64);
  const auto weights = rig.Weights();
  for (uint32_t chunk = 0; chunk < copy->chunks(); ++chunk) {
    copy->LoadWeights(
        chunk, std::span(weights).subspan(copy->ChunkOffset(chunk), copy->ChunkElements(chunk)));
  }
  rig.trainer->Start();
  SliceSums sums;
  for (const Slice& slice : {Slice{0, 7}, Slice{7, 30}}) {
    std::promise<absl::StatusOr<SliceSums>> promise;
    rig.trainer->EvaluateSlice(slice.first == 0 ? nullptr : copy, slice,
                               [&](absl::StatusOr<SliceSums> found) { promise.set_value(found); });
    const auto found = promise.get_future().get();
    ASSERT_TRUE(found.ok()) << found.status();
    sums.loss += found->loss;
    sums.correct += found->correct;
  }
  rig.trainer->Stop();
  const auto whole = Evaluate(*rig.model, *rig.dataset, weights, {.batch_size = 8});
  ASSERT_TRUE(whole.ok());
  EXPECT_EQ(whole->samples, 30);
  EXPECT_NEAR(sums.loss / 30, whole->loss, 1e-6);
  EXPECT_EQ(sums.correct, std::lround(whole->accuracy * 30));
}

}  // namespace
}  // namespace grapevine::train
