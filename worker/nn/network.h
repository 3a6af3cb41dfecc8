#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/backend/backend.h"
#include "worker/store/parameter_layout.h"

namespace grapevine::nn {

// The operations of one model for one batch size, and where their parameters lie in the flat
// vector.
//
// Thread-compatible.
class Network {
 public:
  const store::ParameterLayout& layout() const { return layout_; }
  const backend::Shape& image_shape() const { return images_->shape(); }
  const backend::Shape& logits_shape() const { return logits_->shape(); }

  backend::Tensor& images() { return *images_; }
  backend::Tensor& logits() { return *logits_; }

  void InitialValues(uint64_t seed, std::span<float> flat) const;
  void Load(std::span<const float> flat);
  void Forward(backend::Mode mode);
  void Backward();
  void ReadGradients(std::span<float> gradient) const;
  // The unbiased variance.
  void ReadStatistics(std::span<float> statistics) const;

 private:
  friend class NetworkBuilder;

  // How an entry of the layout starts: N(0, 2 / fan_in), or `constant` where fan_in is 0.
  struct Initial {
    int64_t fan_in = 0;
    float constant = 0;
  };
  struct Range {
    size_t offset = 0;
    size_t size = 0;
  };
  struct Layer {
    std::unique_ptr<backend::Operation> operation;
    std::vector<std::string> parameters;  // by name, in the order of the operation
    std::vector<Range> trained;
    std::vector<Range> statistics;  // mean and variance, or none
  };

  Network() = default;

  std::unique_ptr<backend::Tensor> images_;
  backend::Tensor* logits_ = nullptr;
  std::vector<Layer> layers_;
  store::ParameterLayout layout_;
  std::vector<Initial> initial_;  // one for each entry of the layout
};

// Puts a network together. An error sticks: what follows it does nothing and Finish returns it, so
// that a model reads as the list of its layers.
//
// Thread-compatible.
class NetworkBuilder {
 public:
  NetworkBuilder(backend::Backend& backend, const backend::Shape& images);

  // Each takes the name that its parameters start with, and returns its output; x must be an output
  // of this builder, or images().
  using Tensor = backend::Tensor;
  Tensor* images() { return network_->images_.get(); }
  Tensor* Convolution(const std::string& name, Tensor* x,
                      const backend::ConvolutionOptions& options);
  Tensor* Linear(const std::string& name, Tensor* x, const backend::LinearOptions& options);
  Tensor* BatchNorm(const std::string& name, Tensor* x, Tensor* residual,
                    const backend::BatchNormOptions& options);
  Tensor* Pool(Tensor* x, const backend::PoolOptions& options);
  Tensor* Shortcut(Tensor* x, const backend::ShortcutOptions& options);

  absl::StatusOr<std::unique_ptr<Network>> Finish(Tensor* logits) &&;

 private:
  struct Parameter {
    store::ParameterEntry entry;
    Network::Initial initial;
  };

  Tensor* Add(backend::Backend::MadeOperation operation, Tensor* x,
              std::vector<Parameter> parameters);

  backend::Backend& backend_;
  absl::Status status_;
  std::unique_ptr<Network> network_;
  std::vector<Parameter> parameters_;
};

}  // namespace grapevine::nn
