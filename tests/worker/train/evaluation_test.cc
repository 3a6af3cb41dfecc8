#include "worker/train/evaluation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <span>
#include <vector>

#include "tests/worker/train/training_rig.h"

namespace grapevine::train {
namespace {

TEST(Evaluation, CountsEverySampleOnceWhateverTheBatchSize) {
  TrainingRig rig(
      {.source = {.name = "synthetic", .shape = {1, 4, 4}, .classes = 3, .samples = 370},
       .batch_size = 64});
  const auto weights = rig.Weights();
  const auto whole = Evaluate(*rig.model, *rig.dataset, weights, {.batch_size = 64});
  ASSERT_TRUE(whole.ok());
  EXPECT_EQ(whole->samples, 37);
  for (int64_t batch_size : {1, 7, 32}) {
    const auto other = Evaluate(*rig.model, *rig.dataset, weights, {.batch_size = batch_size});
    ASSERT_TRUE(other.ok());
    EXPECT_EQ(other->accuracy, whole->accuracy);
    EXPECT_NEAR(other->loss, whole->loss, 1e-6);
  }
}

TEST(Evaluation, UntrainedWeightsAreNearChance) {
  TrainingRig rig({});
  const auto evaluation = Evaluate(*rig.model, *rig.dataset, rig.Weights(), {});
  ASSERT_TRUE(evaluation.ok());
  EXPECT_LT(evaluation->accuracy, 0.35);
  EXPECT_NEAR(evaluation->loss, std::log(10.0), 1.5);
}

TEST(Evaluation, ASliceThatIsNotOfTheTestSetIsRefused) {
  TrainingRig rig(
      {.source = {.name = "synthetic", .shape = {1, 4, 4}, .classes = 3, .samples = 370}});
  const auto weights = rig.Weights();
  for (const Slice& slice : {Slice{-1, 3}, Slice{3, 3}, Slice{5, 4}, Slice{30, 38}}) {
    EXPECT_EQ(EvaluateSlice(*rig.model, *rig.dataset, weights, slice, {}).status().code(),
              absl::StatusCode::kInvalidArgument)
        << slice.first << " " << slice.end;
  }
  EXPECT_TRUE(EvaluateSlice(*rig.model, *rig.dataset, weights, {36, 37}, {}).ok());
}

TEST(Evaluation, StopsBetweenBatches) {
  TrainingRig rig({});
  std::stop_source stop;
  stop.request_stop();
  const auto weights = rig.Weights();
  EXPECT_EQ(Evaluate(*rig.model, *rig.dataset, weights, {.stop = stop.get_token()}).status().code(),
            absl::StatusCode::kCancelled);
}

TEST(Recalibrate, LeavesAModelWithoutStatisticsAlone) {
  TrainingRig rig({});
  auto weights = rig.Weights();
  ASSERT_TRUE(Recalibrate(*rig.model, *rig.dataset, weights, {}).ok());
  EXPECT_EQ(weights, rig.Weights());
}

TEST(Recalibrate, ForgetsWhatTheStatisticsWere) {
  TrainingRig rig({.source = {.name = "synthetic", .shape = {3, 8, 8}, .classes = 3, .samples = 8},
                   .model = "resnet20",
                   .batch_size = 4});
  const size_t trained = rig.model->layout().trained_size;
  auto good = rig.Weights();
  auto spoilt = good;
  for (size_t i = trained; i < spoilt.size(); ++i) spoilt[i] += 1000;
  ASSERT_TRUE(Recalibrate(*rig.model, *rig.dataset, good, {.batch_size = 4}).ok());
  ASSERT_TRUE(Recalibrate(*rig.model, *rig.dataset, spoilt, {.batch_size = 4}).ok());
  EXPECT_EQ(good, spoilt);
  for (size_t i = trained; i < good.size(); ++i) EXPECT_LT(std::abs(good[i]), 100);
}

TEST(Recalibrate, TheStatisticsAreTheMeanOverTheBatches) {
  TrainingRig rig({.source = {.name = "synthetic", .shape = {3, 8, 8}, .classes = 3, .samples = 14},
                   .model = "resnet20",
                   .batch_size = 4});
  const size_t trained = rig.model->layout().trained_size;
  auto weights = rig.Weights();
  ASSERT_TRUE(Recalibrate(*rig.model, *rig.dataset, weights, {.batch_size = 4}).ok());

  // Three whole batches of the first data epoch of seed 0; two samples are left over.
  const auto order = dataset::Permutation(0, 0, 14);
  const size_t elements = rig.dataset->shape().elements();
  std::vector<double> sum(weights.size() - trained);
  rig.model->LoadWeights(weights);
  for (int batch = 0; batch < 3; ++batch) {
    std::vector<float> images(4 * elements), statistics(sum.size());
    std::vector<int32_t> labels(4);
    for (int i = 0; i < 4; ++i) {
      labels[i] = rig.dataset->Get(dataset::Split::kTrain, order[4 * batch + i],
                                   std::span(images).subspan(i * elements, elements));
    }
    rig.model->ForwardStatistics({.images = images, .labels = labels}, statistics);
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += statistics[i];
  }
  for (size_t i = 0; i < sum.size(); ++i) {
    EXPECT_FLOAT_EQ(weights[trained + i], static_cast<float>(sum[i] / 3)) << i;
  }
}

}  // namespace
}  // namespace grapevine::train
