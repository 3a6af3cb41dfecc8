#include <benchmark/benchmark.h>

#include <memory>
#include <random>
#include <span>
#include <vector>

#include "operator/base/check.h"
#include "worker/backend/onednn/onednn_backend.h"
#include "worker/nn/model.h"
#include "worker/optimizer/sgd.h"

// Samples per second of a whole training step (weights in, gradients out, SGD), one thread, and
// what share of ResNet-20's is spent in its convolutions: run with --benchmark_filter=Resnet20 and
// divide.
namespace grapevine {
namespace {

std::vector<float> RandomValues(size_t size) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(size);
  for (float& value : values) value = normal(random);
  return values;
}

void Step(benchmark::State& state, const nn::ModelOptions& options) {
  const auto backend = backend::onednn::MakeBackend(1);
  auto made = nn::MakeModel(options, *backend);
  GRAPEVINE_CHECK(made.ok());
  nn::Model& model = **made;
  const store::ParameterLayout& layout = model.layout();
  std::vector<float> weights(layout.size), momentum(layout.trained_size);
  std::vector<float> gradient(layout.trained_size), statistics(layout.size - layout.trained_size);
  model.InitialValues(1, weights);
  const std::vector<float> images = RandomValues(static_cast<size_t>(options.batch_size) *
                                                 options.channels * options.height * options.width);
  std::vector<int32_t> labels(options.batch_size);
  for (size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<int32_t>(i) % options.classes;
  for (auto _ : state) {
    model.LoadWeights(weights);
    benchmark::DoNotOptimize(model.ForwardBackward({images, labels}, gradient, statistics));
    optimizer::SgdUpdate(std::span(weights).first(layout.trained_size), momentum, gradient,
                         {.learning_rate = 1e-4f, .momentum = 0.9f, .weight_decay = 1e-4f},
                         layout.decayed_size);
  }
  state.counters["samples/s"] = benchmark::Counter(
      static_cast<double>(state.iterations()) * options.batch_size, benchmark::Counter::kIsRate);
}

void Resnet20(benchmark::State& state) {
  Step(state, {.name = "resnet20",
               .channels = 3,
               .height = 32,
               .width = 32,
               .classes = 10,
               .batch_size = static_cast<int>(state.range(0))});
}
BENCHMARK(Resnet20)->Arg(32)->Arg(128)->Unit(benchmark::kMillisecond);

void Lenet5(benchmark::State& state) {
  Step(state, {.name = "lenet5",
               .channels = 1,
               .height = 28,
               .width = 28,
               .classes = 10,
               .batch_size = static_cast<int>(state.range(0))});
}
BENCHMARK(Lenet5)->Arg(32)->Arg(64)->Unit(benchmark::kMillisecond);

void Mlp(benchmark::State& state) {
  Step(state, {.name = "mlp",
               .channels = 1,
               .height = 8,
               .width = 8,
               .classes = 10,
               .batch_size = static_cast<int>(state.range(0))});
}
BENCHMARK(Mlp)->Arg(32)->Unit(benchmark::kMicrosecond);

// The convolutions of ResNet-20 alone, forward and backward, each kind as often as the network has
// it.
struct Kind {
  int from, to, extent, stride, count;
};
constexpr Kind kKinds[] = {{3, 16, 32, 1, 1},  {16, 16, 32, 1, 6}, {16, 32, 32, 2, 1},
                           {32, 32, 16, 1, 5}, {32, 64, 16, 2, 1}, {64, 64, 8, 1, 5}};

// The convolutions one after the other, each on an input of its own, as in the network's forward
// pass.
struct Chain {
  Chain(backend::Backend& backend, int batch) {
    for (const Kind& kind : kKinds) {
      for (int i = 0; i < kind.count; ++i) {
        inputs.push_back(Input(backend, kind, batch));
        auto made = backend.MakeConvolution(inputs.back()->output(),
                                            {.output_channels = kind.to, .stride = kind.stride});
        GRAPEVINE_CHECK(made.ok());
        convolutions.push_back(*std::move(made));
        gradients.push_back(RandomValues(convolutions.back()->output().shape().size()));
      }
    }
  }

  // A shortcut that changes nothing, since its output has a gradient.
  std::unique_ptr<backend::Operation> Input(backend::Backend& backend, const Kind& kind,
                                            int batch) {
    images.push_back(backend.MakeTensor({batch, kind.from, kind.extent, kind.extent}));
    auto made = backend.MakeShortcut(*images.back(), {.output_channels = kind.from, .stride = 1});
    GRAPEVINE_CHECK(made.ok());
    return *std::move(made);
  }

  std::vector<std::unique_ptr<backend::Tensor>> images;
  std::vector<std::unique_ptr<backend::Operation>> inputs, convolutions;
  std::vector<std::vector<float>> gradients;
};

void Resnet20Convolutions(benchmark::State& state) {
  const auto backend = backend::onednn::MakeBackend(1);
  const int batch = static_cast<int>(state.range(0));
  Chain chain(*backend, batch);
  for (auto _ : state) {
    for (auto& convolution : chain.convolutions) convolution->Forward(backend::Mode::kTraining);
    for (size_t i = chain.convolutions.size(); i-- > 0;) {
      state.PauseTiming();
      chain.convolutions[i]->output().WriteGradient(chain.gradients[i]);
      state.ResumeTiming();
      chain.convolutions[i]->Backward();
    }
  }
  state.counters["samples/s"] = benchmark::Counter(static_cast<double>(state.iterations()) * batch,
                                                   benchmark::Counter::kIsRate);
}
BENCHMARK(Resnet20Convolutions)->Arg(32)->Unit(benchmark::kMillisecond);

void SgdUpdate(benchmark::State& state) {
  const size_t size = static_cast<size_t>(state.range(0));
  std::vector<float> weights(size), momentum(size);
  const std::vector<float> gradient = RandomValues(size);
  for (auto _ : state) {
    optimizer::SgdUpdate(weights, momentum, gradient,
                         {.learning_rate = 1e-3f, .momentum = 0.9f, .weight_decay = 1e-4f}, size);
    benchmark::DoNotOptimize(weights.data());
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * size * sizeof(float)));
}
BENCHMARK(SgdUpdate)->Arg(1 << 18)->Arg(1 << 25);

}  // namespace
}  // namespace grapevine
