#include "worker/nn/network.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <unordered_map>
#include <utility>

#include "operator/base/check.h"

namespace grapevine::nn {
namespace {

using store::ParameterKind;

constexpr size_t kMostParameters = 4;  // of one operation: those of a normalisation

// Mean 0, variance 1, all but normal: the sum of twelve uniform numbers. std::normal_distribution
// and the logarithm that it needs differ between libraries; integers do not.
float NearlyNormal(std::mt19937_64& random) {
  int32_t sum = 0;
  for (int i = 0; i < 3; ++i) {
    const uint64_t bits = random();
    for (int shift = 0; shift < 64; shift += 16) sum += static_cast<uint16_t>(bits >> shift);
  }
  return static_cast<float>(sum - 12 * 32767.5) / 65536.0f;
}

}  // namespace

void Network::InitialValues(uint64_t seed, std::span<float> flat) const {
  GRAPEVINE_CHECK(flat.size() == layout_.size);
  std::mt19937_64 random(seed);
  for (size_t i = 0; i < initial_.size(); ++i) {
    const std::span<float> values =
        flat.subspan(layout_.entries[i].offset, layout_.entries[i].size);
    if (initial_[i].fan_in == 0) {
      std::fill(values.begin(), values.end(), initial_[i].constant);
      continue;
    }
    const float deviation = std::sqrt(2.0f / static_cast<float>(initial_[i].fan_in));
    for (float& value : values) value = deviation * NearlyNormal(random);
  }
}

void Network::Load(std::span<const float> flat) {
  GRAPEVINE_CHECK(flat.size() == layout_.size);
  for (Layer& layer : layers_) {
    std::array<std::span<const float>, kMostParameters> parameters;
    size_t count = 0;
    for (const auto* ranges : {&layer.trained, &layer.statistics}) {
      for (const Range& range : *ranges) {
        parameters[count++] = flat.subspan(range.offset, range.size);
      }
    }
    if (count > 0) layer.operation->Load(std::span(parameters).first(count));
  }
}

void Network::Forward(backend::Mode mode) {
  for (Layer& layer : layers_) layer.operation->Forward(mode);
}

void Network::Backward() {
  for (size_t i = layers_.size(); i-- > 0;) layers_[i].operation->Backward();
}

void Network::ReadGradients(std::span<float> gradient) const {
  GRAPEVINE_CHECK(gradient.size() == layout_.trained_size);
  for (const Layer& layer : layers_) {
    std::array<std::span<float>, kMostParameters> parameters;
    size_t count = 0;
    for (const Range& range : layer.trained) {
      parameters[count++] = gradient.subspan(range.offset, range.size);
    }
    if (count > 0) layer.operation->ReadGradients(std::span(parameters).first(count));
  }
}

void Network::ReadStatistics(std::span<float> statistics) const {
  GRAPEVINE_CHECK(statistics.size() == layout_.size - layout_.trained_size);
  for (const Layer& layer : layers_) {
    if (layer.statistics.empty()) continue;
    std::array<std::span<float>, 2> parts;
    for (size_t i = 0; i < parts.size(); ++i) {
      const Range& range = layer.statistics[i];
      parts[i] = statistics.subspan(range.offset - layout_.trained_size, range.size);
    }
    layer.operation->ReadStatistics(parts[0], parts[1]);
    const backend::Shape& shape = layer.operation->output().shape();
    const float count = static_cast<float>(shape.size() / shape.c);
    for (float& variance : parts[1]) variance *= count / (count - 1);
  }
}

NetworkBuilder::NetworkBuilder(backend::Backend& backend, const backend::Shape& images)
    : backend_(backend), network_(new Network) {
  network_->images_ = backend.MakeTensor(images);
}

backend::Tensor* NetworkBuilder::Convolution(const std::string& name, Tensor* x,
                                             const backend::ConvolutionOptions& options) {
  if (!status_.ok()) return x;
  const int64_t k = options.kernel;
  std::vector<Parameter> parameters = {
      {.entry = {.name = name + ".weight",
                 .shape = {options.output_channels, x->shape().c, k, k},
                 .kind = ParameterKind::kWeight},
       .initial = {.fan_in = x->shape().c * k * k}}};
  if (options.bias) {
    parameters.push_back({.entry = {.name = name + ".bias",
                                    .shape = {options.output_channels},
                                    .kind = ParameterKind::kUndecayed}});
  }
  return Add(backend_.MakeConvolution(*x, options), x, std::move(parameters));
}

backend::Tensor* NetworkBuilder::Linear(const std::string& name, Tensor* x,
                                        const backend::LinearOptions& options) {
  if (!status_.ok()) return x;
  const int64_t inputs = static_cast<int64_t>(x->shape().size()) / x->shape().n;
  return Add(backend_.MakeLinear(*x, options), x,
             {{.entry = {.name = name + ".weight",
                         .shape = {options.outputs, inputs},
                         .kind = ParameterKind::kWeight},
               .initial = {.fan_in = inputs}},
              {.entry = {.name = name + ".bias",
                         .shape = {options.outputs},
                         .kind = ParameterKind::kUndecayed}}});
}

backend::Tensor* NetworkBuilder::BatchNorm(const std::string& name, Tensor* x, Tensor* residual,
                                           const backend::BatchNormOptions& options) {
  if (!status_.ok()) return x;
  const auto entry = [&](const char* part, ParameterKind kind, float constant) {
    return Parameter{.entry = {.name = name + part, .shape = {x->shape().c}, .kind = kind},
                     .initial = {.constant = constant}};
  };
  return Add(
      backend_.MakeBatchNorm(*x, residual, options), x,
      {entry(".scale", ParameterKind::kUndecayed, 1), entry(".shift", ParameterKind::kUndecayed, 0),
       entry(".mean", ParameterKind::kStatistic, 0),
       entry(".variance", ParameterKind::kStatistic, 1)});
}

backend::Tensor* NetworkBuilder::Pool(Tensor* x, const backend::PoolOptions& options) {
  if (!status_.ok()) return x;
  return Add(backend_.MakePool(*x, options), x, {});
}

backend::Tensor* NetworkBuilder::Shortcut(Tensor* x, const backend::ShortcutOptions& options) {
  if (!status_.ok()) return x;
  return Add(backend_.MakeShortcut(*x, options), x, {});
}

backend::Tensor* NetworkBuilder::Add(backend::Backend::MadeOperation operation, Tensor* x,
                                     std::vector<Parameter> parameters) {
  if (!operation.ok()) {
    status_ = operation.status();
    return x;
  }
  Network::Layer layer{.operation = *std::move(operation)};
  for (Parameter& parameter : parameters) {
    layer.parameters.push_back(parameter.entry.name);
    parameters_.push_back(std::move(parameter));
  }
  network_->layers_.push_back(std::move(layer));
  return &network_->layers_.back().operation->output();
}

absl::StatusOr<std::unique_ptr<Network>> NetworkBuilder::Finish(Tensor* logits) && {
  if (!status_.ok()) return status_;
  network_->logits_ = logits;

  std::vector<store::ParameterEntry> entries;
  std::unordered_map<std::string, Network::Initial> initial;
  for (const Parameter& parameter : parameters_) {
    entries.push_back(parameter.entry);
    GRAPEVINE_CHECK(initial.emplace(parameter.entry.name, parameter.initial).second);
  }
  network_->layout_ = store::MakeParameterLayout(std::move(entries));

  std::unordered_map<std::string, const store::ParameterEntry*> by_name;
  for (const store::ParameterEntry& entry : network_->layout_.entries) {
    by_name[entry.name] = &entry;
    network_->initial_.push_back(initial[entry.name]);
  }
  for (Network::Layer& layer : network_->layers_) {
    for (const std::string& name : layer.parameters) {
      const store::ParameterEntry& entry = *by_name[name];
      auto& ranges = entry.kind == ParameterKind::kStatistic ? layer.statistics : layer.trained;
      ranges.push_back({entry.offset, entry.size});
    }
  }
  return std::move(network_);
}

}  // namespace grapevine::nn
