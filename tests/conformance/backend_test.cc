#include "worker/backend/backend.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "worker/backend/onednn/onednn_backend.h"
#include "worker/backend/reference/reference_backend.h"
#include "worker/nn/network.h"

// The same suite over every backend: outputs, gradients and statistics agree with the reference on
// random shapes, and gradients agree with finite differences. The operation under test always has a
// convolution before it, so that its input has a gradient and an error in it shows in the
// convolution's.
namespace grapevine::backend {
namespace {

struct BackendCase {
  std::string name;
  std::unique_ptr<Backend> (*make)();
};

using Build = std::function<Tensor*(nn::NetworkBuilder&)>;

std::vector<float> RandomValues(size_t size, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(size);
  for (float& value : values) value = uniform(random);
  return values;
}

// A network over one backend, with random parameters and a random gradient at its output.
class Probe {
 public:
  Probe(Backend& backend, const Shape& images, const Build& build, uint32_t seed) {
    nn::NetworkBuilder builder(backend, images);
    Tensor* out = build(builder);
    auto made = std::move(builder).Finish(out);
    EXPECT_TRUE(made.ok()) << made.status();
    network_ = *std::move(made);
    const store::ParameterLayout& layout = network_->layout();
    weights = RandomValues(layout.size, seed);
    for (const store::ParameterEntry& entry : layout.entries) {
      if (!entry.name.ends_with(".variance")) continue;
      for (size_t i = 0; i < entry.size; ++i) weights[entry.offset + i] += 1.5f;
    }
    output_gradient = RandomValues(network_->logits_shape().size(), seed + 1);
    network_->images().Write(RandomValues(images.size(), seed + 2));
  }

  std::vector<float> Forward(Mode mode) {
    network_->Load(weights);
    network_->Forward(mode);
    std::vector<float> output(network_->logits_shape().size());
    network_->logits().Read(output);
    return output;
  }

  std::vector<float> Backward() {
    network_->logits().WriteGradient(output_gradient);
    network_->Backward();
    std::vector<float> gradient(network_->layout().trained_size);
    network_->ReadGradients(gradient);
    return gradient;
  }

  std::vector<float> Statistics() {
    std::vector<float> statistics(network_->layout().size - network_->layout().trained_size);
    network_->ReadStatistics(statistics);
    return statistics;
  }

  // The scalar whose gradient Backward computes.
  double Objective() {
    const std::vector<float> output = Forward(Mode::kTraining);
    double sum = 0;
    for (size_t i = 0; i < output.size(); ++i) {
      sum += static_cast<double>(output[i]) * output_gradient[i];
    }
    return sum;
  }

  std::vector<float> weights;
  std::vector<float> output_gradient;

 private:
  std::unique_ptr<nn::Network> network_;
};

void ExpectClose(const std::vector<float>& actual, const std::vector<float>& expected,
                 const char* what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  float largest = 0;
  for (float value : expected) largest = std::max(largest, std::abs(value));
  for (size_t i = 0; i < actual.size(); ++i) {
    ASSERT_NEAR(actual[i], expected[i], 1e-5 + 2e-4 * largest) << what << " element " << i;
  }
}

class BackendTest : public testing::TestWithParam<BackendCase> {
 protected:
  // Training twice (nothing may be left over from the first step), then inference.
  void ExpectAgrees(const Shape& images, const Build& build, uint32_t seed) {
    SCOPED_TRACE(testing::Message() << "images " << images.n << " x " << images.c << " x "
                                    << images.h << " x " << images.w << ", seed " << seed);
    const std::unique_ptr<Backend> reference = reference::MakeBackend();
    Probe expected(*reference, images, build, seed);
    Probe actual(*backend_, images, build, seed);
    for (int step = 0; step < 2; ++step) {
      ExpectClose(actual.Forward(Mode::kTraining), expected.Forward(Mode::kTraining), "output");
      ExpectClose(actual.Statistics(), expected.Statistics(), "statistics");
      ExpectClose(actual.Backward(), expected.Backward(), "gradient");
    }
    ExpectClose(actual.Forward(Mode::kInference), expected.Forward(Mode::kInference), "inference");
  }

  // Each parameter's gradient against (f(w + h) − f(w − h)) / 2h. Where max(0, ·) or a maximum has
  // its kink between the two, the quotient is off by a little: hence the tolerance.
  void ExpectDifferentiates(const Shape& images, const Build& build) {
    Probe probe(*backend_, images, build, 7);
    probe.Objective();
    const std::vector<float> gradient = probe.Backward();
    float largest = 0;
    for (float value : gradient) largest = std::max(largest, std::abs(value));
    constexpr float kStep = 2e-4f;
    for (size_t i = 0; i < gradient.size(); ++i) {
      const float weight = probe.weights[i];
      probe.weights[i] = weight + kStep;
      const double above = probe.Objective();
      probe.weights[i] = weight - kStep;
      const double below = probe.Objective();
      probe.weights[i] = weight;
      ASSERT_NEAR(gradient[i], (above - below) / (2 * kStep), 0.01 * largest) << "parameter " << i;
    }
  }

  const std::unique_ptr<Backend> backend_ = GetParam().make();
};

// The same test for several images.
struct Images {
  Shape shape;
  uint32_t seed;
};

std::vector<Images> RandomImages(int count, int least_extent) {
  std::mt19937 random(count);
  const auto draw = [&](int from, int to) {
    return std::uniform_int_distribution<int>(from, to)(random);
  };
  std::vector<Images> images;
  for (int i = 0; i < count; ++i) {
    images.push_back(
        {{draw(1, 5), draw(1, 9), least_extent + draw(0, 6), least_extent + draw(0, 6)},
         static_cast<uint32_t>(100 * i)});
  }
  return images;
}

const ConvolutionOptions kConvolutions[] = {
    {.output_channels = 5},
    {.output_channels = 16, .stride = 2},
    {.output_channels = 8, .kernel = 5, .padding = 0, .bias = true},
    {.output_channels = 3, .kernel = 1, .padding = 0, .relu = true},
    {.output_channels = 6, .kernel = 5, .padding = 2, .bias = true, .relu = true},
};

TEST_P(BackendTest, ConvolutionsAgreeOnRandomShapes) {
  for (const auto& [shape, seed] : RandomImages(8, 5)) {
    for (const ConvolutionOptions& options : kConvolutions) {
      ExpectAgrees(
          shape,
          [&](nn::NetworkBuilder& net) {
            Tensor* x = net.Convolution("before", net.images(), {.output_channels = 7});
            return net.Convolution("tested", x, options);
          },
          seed);
    }
  }
}

struct Stage {
  int from, to, extent;
};
constexpr Stage kStagesOfResnet20[] = {{3, 16, 16}, {16, 16, 16}, {16, 32, 16},
                                       {32, 32, 8}, {32, 64, 8},  {64, 64, 8}};

TEST_P(BackendTest, ConvolutionsOfResNet20Agree) {
  for (const Stage& stage : kStagesOfResnet20) {
    ExpectAgrees(
        {2, 2, stage.extent, stage.extent},
        [&](nn::NetworkBuilder& net) {
          Tensor* x = net.Convolution("before", net.images(), {.output_channels = stage.from});
          return net.Convolution(
              "tested", x, {.output_channels = stage.to, .stride = stage.from == stage.to ? 1 : 2});
        },
        3);
  }
}

TEST_P(BackendTest, LinearLayersAgreeOnRandomShapes) {
  for (const auto& [shape, seed] : RandomImages(8, 1)) {
    for (bool relu : {false, true}) {
      ExpectAgrees(
          shape,
          [&](nn::NetworkBuilder& net) {
            Tensor* x = net.Convolution("before", net.images(), {.output_channels = 6});
            x = net.Linear("tested", x, {.outputs = 11, .relu = relu});
            return net.Linear("after", x, {.outputs = 4});
          },
          seed);
    }
  }
}

TEST_P(BackendTest, NormalisationsAgreeOnRandomShapes) {
  for (auto [shape, seed] : RandomImages(8, 2)) {
    shape.n = std::max(2, shape.n);
    for (int channels : {1, 6, 16, 40}) {
      for (bool relu : {false, true}) {
        ExpectAgrees(
            shape,
            [&](nn::NetworkBuilder& net) {
              Tensor* x = net.Convolution("before", net.images(), {.output_channels = channels});
              return net.BatchNorm("tested", x, nullptr, {.relu = relu});
            },
            seed);
      }
    }
  }
}

TEST_P(BackendTest, ResidualBlocksAgreeOnRandomShapes) {
  for (auto [shape, seed] : RandomImages(8, 4)) {
    shape.n = std::max(2, shape.n);
    for (bool relu : {false, true}) {
      ExpectAgrees(
          shape,
          [&](nn::NetworkBuilder& net) {
            Tensor* x = net.Convolution("before", net.images(), {.output_channels = 16});
            x = net.BatchNorm("norm1", x, nullptr, {.relu = true});
            Tensor* y = net.Convolution("inside", x, {.output_channels = 16});
            x = net.BatchNorm("norm2", y, x, {.relu = relu});
            y = net.Convolution("smaller", x, {.output_channels = 24, .stride = 2});
            x = net.Shortcut(x, {.output_channels = 24});
            return net.BatchNorm("norm3", y, x, {.relu = relu});
          },
          seed);
    }
  }
}

// Two consumers of what is not a normalisation.
TEST_P(BackendTest, GradientsOfTwoConsumersAddUp) {
  for (const auto& [shape, seed] : RandomImages(4, 6)) {
    ExpectAgrees(
        shape,
        [](nn::NetworkBuilder& net) {
          Tensor* x = net.Convolution("before", net.images(),
                                      {.output_channels = 8, .bias = true, .relu = true});
          Tensor* y = net.Convolution("inside", x, {.output_channels = 8});
          x = net.Pool(net.BatchNorm("norm", y, x, {}), {});
          Tensor* z = net.Shortcut(x, {.output_channels = 8, .stride = 1});
          return net.BatchNorm("last", x, z, {});
        },
        seed + 1);
  }
}

const PoolOptions kPools[] = {
    {},
    {.kernel = 3, .stride = 2},
    {.kind = PoolOptions::Kind::kAverage, .kernel = 3, .stride = 3},
    {.kind = PoolOptions::Kind::kAverage, .kernel = 0},
    {.kernel = 0},
};

TEST_P(BackendTest, PoolingAgreesOnRandomShapes) {
  for (const auto& [shape, seed] : RandomImages(8, 4)) {
    for (const PoolOptions& options : kPools) {
      ExpectAgrees(
          shape,
          [&](nn::NetworkBuilder& net) {
            Tensor* x = net.Convolution("before", net.images(), {.output_channels = 6});
            x = net.Pool(x, options);
            return net.Linear("after", x, {.outputs = 3});
          },
          seed);
    }
  }
}

TEST_P(BackendTest, NormalisationOfAConstantIsItsShift) {
  Probe probe(
      *backend_, {4, 1, 3, 3},
      [](nn::NetworkBuilder& net) {
        Tensor* x = net.Convolution("zero", net.images(), {.output_channels = 2, .bias = true});
        return net.BatchNorm("tested", x, nullptr, {});
      },
      1);
  // zero.weight, zero.bias, tested.scale, tested.shift
  std::fill(probe.weights.begin(), probe.weights.begin() + 2 * 9, 0.0f);
  const size_t bias = 2 * 9;
  probe.weights[bias] = probe.weights[bias + 1] = 1000;
  probe.weights[bias + 4] = 0.25f;
  probe.weights[bias + 5] = -0.5f;
  const std::vector<float> output = probe.Forward(Mode::kTraining);
  for (size_t i = 0; i < output.size(); ++i) {
    ASSERT_NEAR(output[i], i / 9 % 2 == 0 ? 0.25f : -0.5f, 1e-5);
  }
}

// x has mean 1000 and deviation 1: sums of squares lose it all, unless something is subtracted
// first.
TEST_P(BackendTest, NormalisationSurvivesALargeMean) {
  const Build build = [](nn::NetworkBuilder& net) {
    Tensor* x = net.Convolution("before", net.images(), {.output_channels = 3, .bias = true});
    return net.BatchNorm("tested", x, nullptr, {.relu = true});
  };
  const std::unique_ptr<Backend> reference = reference::MakeBackend();
  Probe expected(*reference, {8, 1, 16, 16}, build, 5);
  Probe actual(*backend_, {8, 1, 16, 16}, build, 5);
  for (Probe* probe : {&expected, &actual}) {
    for (size_t i = 0; i < 3; ++i) probe->weights[3 * 9 + i] = 1000;
  }
  const std::vector<float> y = expected.Forward(Mode::kTraining);
  const std::vector<float> z = actual.Forward(Mode::kTraining);
  for (size_t i = 0; i < y.size(); ++i) ASSERT_NEAR(z[i], y[i], 2e-3) << i;
}

TEST_P(BackendTest, ARunningVarianceBelowZeroIsZero) {
  const Build build = [](nn::NetworkBuilder& net) {
    Tensor* x = net.Convolution("before", net.images(), {.output_channels = 2});
    return net.BatchNorm("tested", x, nullptr, {});
  };
  Probe zero(*backend_, {2, 1, 3, 3}, build, 6);
  Probe below(*backend_, {2, 1, 3, 3}, build, 6);
  // The variances come last.
  zero.weights.back() = 0;
  below.weights.back() = -1e-3f;
  const std::vector<float> output = zero.Forward(Mode::kInference);
  for (const float value : output) ASSERT_TRUE(std::isfinite(value));
  EXPECT_EQ(below.Forward(Mode::kInference), output);
}

TEST_P(BackendTest, GradientsAgreeWithFiniteDifferences) {
  ExpectDifferentiates({3, 2, 7, 6}, [](nn::NetworkBuilder& net) {
    Tensor* x = net.Convolution("conv1", net.images(),
                                {.output_channels = 3, .kernel = 5, .padding = 2, .bias = true});
    x = net.Convolution("conv2", x,
                        {.output_channels = 4, .stride = 2, .bias = true, .relu = true});
    return net.Linear("linear", x, {.outputs = 3});
  });
  ExpectDifferentiates({3, 2, 6, 6}, [](nn::NetworkBuilder& net) {
    Tensor* x = net.Convolution("conv1", net.images(), {.output_channels = 4});
    x = net.BatchNorm("norm1", x, nullptr, {.relu = true});
    Tensor* y = net.Convolution("conv2", x, {.output_channels = 6, .stride = 2});
    y = net.BatchNorm("norm2", y, net.Shortcut(x, {.output_channels = 6}), {.relu = true});
    return net.Pool(y, {.kind = PoolOptions::Kind::kAverage, .kernel = 0});
  });
  ExpectDifferentiates({2, 1, 8, 8}, [](nn::NetworkBuilder& net) {
    Tensor* x = net.Convolution("conv", net.images(), {.output_channels = 3, .bias = true});
    x = net.Pool(x, {});
    x = net.Linear("linear1", x, {.outputs = 5, .relu = true});
    return net.Linear("linear2", x, {.outputs = 2});
  });
}

TEST_P(BackendTest, ShapesThatDoNotFitAreInvalid) {
  const auto invalid = absl::StatusCode::kInvalidArgument;
  const auto x = backend_->MakeTensor({2, 3, 4, 4});
  const auto other = backend_->MakeTensor({2, 3, 4, 5});
  EXPECT_EQ(backend_->MakeConvolution(*x, {.output_channels = 1, .kernel = 5, .padding = 0})
                .status()
                .code(),
            invalid);
  EXPECT_EQ(backend_->MakeConvolution(*x, {.output_channels = 0}).status().code(), invalid);
  EXPECT_EQ(backend_->MakeLinear(*x, {.outputs = 0}).status().code(), invalid);
  EXPECT_EQ(backend_->MakePool(*x, {.kernel = 5}).status().code(), invalid);
  EXPECT_EQ(backend_->MakePool(*x, {.stride = 0}).status().code(), invalid);
  EXPECT_EQ(backend_->MakeShortcut(*x, {.output_channels = 2}).status().code(), invalid);
  EXPECT_EQ(backend_->MakeShortcut(*x, {.output_channels = 4}).status().code(), invalid);
  EXPECT_EQ(backend_->MakeBatchNorm(*x, other.get(), {}).status().code(), invalid);
}

TEST_P(BackendTest, TensorsReadBackWhatWasWritten) {
  const Shape shape{2, 3, 4, 5};
  const auto x = backend_->MakeTensor(shape);
  const std::vector<float> written = RandomValues(shape.size(), 1);
  x->Write(written);
  std::vector<float> read(shape.size());
  x->Read(read);
  EXPECT_EQ(read, written);
}

INSTANTIATE_TEST_SUITE_P(All, BackendTest,
                         testing::Values(BackendCase{"Reference", reference::MakeBackend},
                                         BackendCase{"Onednn",
                                                     [] { return onednn::MakeBackend(1); }}),
                         [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace grapevine::backend
