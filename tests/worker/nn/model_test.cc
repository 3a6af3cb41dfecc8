#include "worker/nn/model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <span>
#include <vector>

#include "worker/backend/reference/reference_backend.h"
#include "worker/optimizer/sgd.h"

namespace grapevine::nn {
namespace {

// A model on the reference backend with its weights, and random samples for it.
struct Trial {
  explicit Trial(const ModelOptions& options, uint32_t seed = 1) : options(options) {
    absl::StatusOr<std::unique_ptr<Model>> made = MakeModel(options, *backend);
    EXPECT_TRUE(made.ok()) << made.status();
    model = *std::move(made);
    weights.resize(model->layout().size);
    gradient.resize(model->layout().trained_size);
    statistics.resize(model->layout().size - model->layout().trained_size);
    model->InitialValues(seed, weights);
    model->LoadWeights(weights);

    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    images.resize(static_cast<size_t>(options.batch_size) * ImageSize());
    for (float& pixel : images) pixel = normal(random);
    for (int i = 0; i < options.batch_size; ++i) {
      labels.push_back(static_cast<int32_t>(random() % options.classes));
    }
  }

  size_t ImageSize() const {
    return static_cast<size_t>(options.channels) * options.height * options.width;
  }
  Batch First(int n) const {
    return {std::span(images).first(n * ImageSize()), std::span(labels).first(n)};
  }
  StepResult Step(int n) { return model->ForwardBackward(First(n), gradient, statistics); }

  const std::unique_ptr<backend::Backend> backend = backend::reference::MakeBackend();
  const ModelOptions options;
  std::unique_ptr<Model> model;
  std::vector<float> weights, gradient, statistics, images;
  std::vector<int32_t> labels;
};

const ModelOptions kMlp{
    .name = "mlp", .channels = 1, .height = 4, .width = 4, .classes = 3, .batch_size = 5};
const ModelOptions kLenet5{
    .name = "lenet5", .channels = 1, .height = 12, .width = 12, .classes = 4, .batch_size = 3};
const ModelOptions kResnet20{
    .name = "resnet20", .channels = 3, .height = 8, .width = 8, .classes = 5, .batch_size = 4};

class EveryModelTest : public testing::TestWithParam<ModelOptions> {};

// Along the gradient itself, where the derivative is its norm, and along random directions.
TEST_P(EveryModelTest, GradientAgreesWithFiniteDifferences) {
  Trial trial(GetParam());
  trial.Step(trial.options.batch_size);
  const std::vector<float> gradient = trial.gradient;
  const std::vector<float> weights = trial.weights;
  const double norm =
      std::sqrt(std::inner_product(gradient.begin(), gradient.end(), gradient.begin(), 0.0));
  ASSERT_GT(norm, 0);
  std::mt19937 random(3);
  std::normal_distribution<double> normal;
  for (int trials = 0; trials < 4; ++trials) {
    std::vector<double> direction(gradient.begin(), gradient.end());
    if (trials > 0) {
      // Half the gradient, half noise of the same length.
      const double scale = norm / std::sqrt(static_cast<double>(direction.size()));
      for (double& d : direction) d += scale * normal(random);
    }
    const double length =
        std::sqrt(std::inner_product(direction.begin(), direction.end(), direction.begin(), 0.0));
    double expected = 0;
    for (size_t i = 0; i < gradient.size(); ++i) expected += gradient[i] * direction[i] / length;
    constexpr double kStep = 2e-3;
    const auto loss_at = [&](double step) {
      for (size_t i = 0; i < gradient.size(); ++i) {
        trial.weights[i] = static_cast<float>(weights[i] + step * direction[i] / length);
      }
      trial.model->LoadWeights(trial.weights);
      return trial.Step(trial.options.batch_size).loss;
    };
    EXPECT_NEAR((loss_at(kStep) - loss_at(-kStep)) / (2 * kStep), expected, 0.02 * norm);
  }
}

// A short batch is a batch of that size, not one with something added.
TEST_P(EveryModelTest, ShortBatchesAreExact) {
  Trial trial(GetParam());
  const int n = trial.options.batch_size - 1;
  ModelOptions exact = GetParam();
  exact.batch_size = n;
  Trial twin(exact);
  trial.Step(trial.options.batch_size);
  const StepResult result = trial.Step(n);
  const StepResult expected =
      twin.model->ForwardBackward(trial.First(n), twin.gradient, twin.statistics);
  EXPECT_EQ(result.loss, expected.loss);
  EXPECT_EQ(result.correct, expected.correct);
  EXPECT_EQ(trial.gradient, twin.gradient);
  EXPECT_EQ(trial.statistics, twin.statistics);
}

TEST_P(EveryModelTest, ShortBatchesSeeNewWeights) {
  Trial trial(GetParam());
  const int n = trial.options.batch_size - 1;
  const double before = trial.Step(n).loss;
  std::vector<float> other(trial.weights.size());
  trial.model->InitialValues(99, other);
  trial.model->LoadWeights(other);
  EXPECT_NE(trial.Step(n).loss, before);
  trial.model->LoadWeights(trial.weights);
  EXPECT_EQ(trial.Step(n).loss, before);
}

TEST_P(EveryModelTest, EvaluationAddsUpOverBatches) {
  Trial trial(GetParam());
  const int n = trial.options.batch_size;
  const EvaluationResult whole = trial.model->Evaluate(trial.First(n));
  EvaluationResult sum;
  for (int i = 0; i < n; ++i) {
    const Batch one{std::span(trial.images).subspan(i * trial.ImageSize(), trial.ImageSize()),
                    std::span(trial.labels).subspan(i, 1)};
    const EvaluationResult result = trial.model->Evaluate(one);
    sum.loss_sum += result.loss_sum;
    sum.correct += result.correct;
  }
  EXPECT_NEAR(sum.loss_sum, whole.loss_sum, 1e-5 * whole.loss_sum);
  EXPECT_EQ(sum.correct, whole.correct);
}

TEST_P(EveryModelTest, InitialValuesDependOnTheSeedAlone) {
  Trial trial(GetParam());
  Trial again(GetParam());
  EXPECT_EQ(trial.weights, again.weights);
  EXPECT_EQ(trial.model->layout().hash, again.model->layout().hash);
  std::vector<float> other(trial.weights.size());
  trial.model->InitialValues(2, other);
  EXPECT_NE(trial.weights, other);
}

TEST_P(EveryModelTest, OverfitsAFewSamples) {
  Trial trial(GetParam());
  std::vector<float> momentum(trial.weights.size());
  const size_t trained = trial.model->layout().trained_size;
  StepResult result;
  bool fits = false;
  for (int step = 0; step < 60 && !fits; ++step) {
    trial.model->LoadWeights(trial.weights);
    result = trial.Step(trial.options.batch_size);
    fits = result.loss < 0.1 && result.correct == trial.options.batch_size;
    optimizer::SgdUpdate(std::span(trial.weights).first(trained),
                         std::span(momentum).first(trained), trial.gradient,
                         {.learning_rate = 0.005f, .momentum = 0.9f}, 0);
  }
  EXPECT_TRUE(fits) << "loss " << result.loss << ", " << result.correct << " correct";
}

INSTANTIATE_TEST_SUITE_P(All, EveryModelTest, testing::Values(kMlp, kLenet5, kResnet20),
                         [](const auto& param) { return param.param.name; });

TEST(ModelTest, InitialWeightsHaveTheVarianceOfHe) {
  Trial trial(
      {.name = "mlp", .channels = 1, .height = 28, .width = 28, .classes = 10, .batch_size = 2});
  const store::ParameterEntry& entry = trial.model->layout().entries[0];
  ASSERT_EQ(entry.name, "linear1.weight");
  double sum = 0, squares = 0;
  for (size_t i = 0; i < entry.size; ++i) {
    const double value = trial.weights[entry.offset + i];
    sum += value;
    squares += value * value;
  }
  const double count = static_cast<double>(entry.size);
  EXPECT_NEAR(sum / count, 0, 1e-3);
  EXPECT_NEAR(squares / count, 2.0 / 784, 0.03 * 2.0 / 784);
}

// Pins the generator: a change of it would give members of one job different weights.
TEST(ModelTest, InitialWeightsArePinned) {
  Trial trial(kMlp, 42);
  EXPECT_FLOAT_EQ(trial.weights[0], 0.26809442f);
}

// One channel of the 3 x 3 convolution of images of 3 x 8 x 8 with padding, as the layout has it.
std::vector<double> Convolved(std::span<const float> images, const float* kernel) {
  std::vector<double> values;
  for (size_t image = 0; image < images.size() / (3 * 64); ++image) {
    for (int row = 0; row < 8; ++row) {
      for (int column = 0; column < 8; ++column) {
        double value = 0;
        for (int k = 0; k < 27; ++k) {
          const int r = row + k / 3 % 3 - 1, c = column + k % 3 - 1;
          if (r < 0 || r >= 8 || c < 0 || c >= 8) continue;
          value += kernel[k] * images[(image * 3 + k / 9) * 64 + r * 8 + c];
        }
        values.push_back(value);
      }
    }
  }
  return values;
}

TEST(ModelTest, StatisticsOfABatchAreUnbiased) {
  Trial trial(kResnet20);
  trial.Step(4);
  std::vector<float> again(trial.statistics.size());
  trial.model->ForwardStatistics(trial.First(4), again);
  EXPECT_EQ(trial.statistics, again);
  // The first normalisation sees the first convolution of the images.
  const store::ParameterLayout& layout = trial.model->layout();
  const store::ParameterEntry& kernel = layout.entries[0];
  EXPECT_EQ(kernel.shape, (std::vector<int64_t>{16, 3, 3, 3}));
  const store::ParameterEntry* mean = &layout.entries[layout.entries.size() - 2 * 19];
  EXPECT_EQ(mean[0].name, "norm.mean");
  EXPECT_EQ(mean[1].name, "norm.variance");
  for (size_t channel = 0; channel < mean->size; ++channel) {
    const std::vector<double> x =
        Convolved(trial.images, &trial.weights[kernel.offset + channel * 27]);
    const double count = static_cast<double>(x.size());
    const double average = std::accumulate(x.begin(), x.end(), 0.0) / count;
    double squares = 0;
    for (const double value : x) squares += (value - average) * (value - average);
    EXPECT_NEAR(trial.statistics[mean[0].offset - layout.trained_size + channel], average, 1e-5);
    // 4 · 8 · 8 values: the biased variance is 0.4 % less.
    EXPECT_NEAR(trial.statistics[mean[1].offset - layout.trained_size + channel],
                squares / (count - 1), 1e-4 * squares / count);
  }
}

// With the batch's own statistics loaded, inference gives what training gave, but for the unbiased
// variance.
TEST(ModelTest, EvaluationUsesTheLoadedStatistics) {
  Trial trial(kResnet20);
  const double training = trial.Step(4).loss;
  const double before = trial.model->Evaluate(trial.First(4)).loss_sum / 4;
  std::copy(trial.statistics.begin(), trial.statistics.end(),
            trial.weights.begin() + static_cast<ptrdiff_t>(trial.model->layout().trained_size));
  trial.model->LoadWeights(trial.weights);
  const double after = trial.model->Evaluate(trial.First(4)).loss_sum / 4;
  EXPECT_LT(std::abs(after - training), 0.2 * training);
  EXPECT_GT(std::abs(before - training), std::abs(after - training));
}

TEST(ModelTest, BadOptionsAreInvalid) {
  const auto backend = backend::reference::MakeBackend();
  const auto code = [&](ModelOptions options) {
    return MakeModel(options, *backend).status().code();
  };
  ModelOptions options = kMlp;
  options.name = "resnet21";
  EXPECT_EQ(code(options), absl::StatusCode::kInvalidArgument);
  options = kMlp;
  options.batch_size = 1;
  EXPECT_EQ(code(options), absl::StatusCode::kInvalidArgument);
  options = kMlp;
  options.classes = 1;
  EXPECT_EQ(code(options), absl::StatusCode::kInvalidArgument);
  options = kLenet5;
  options.height = 8;
  EXPECT_EQ(code(options), absl::StatusCode::kInvalidArgument);
  options = kResnet20;
  options.channels = 0;
  EXPECT_EQ(code(options), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace grapevine::nn
