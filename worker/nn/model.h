#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/backend/backend.h"
#include "worker/store/parameter_layout.h"

namespace grapevine::nn {

struct ModelOptions {
  std::string name;                         // "mlp", "lenet5" or "resnet20"
  int channels = 0, height = 0, width = 0;  // of one image
  int classes = 0;
  int batch_size = 0;  // the largest n of a call below
};

// Images are plain: n × channels × height × width, row-major; labels are in [0, classes).
struct Batch {
  std::span<const float> images;
  std::span<const int32_t> labels;
  int n() const { return static_cast<int>(labels.size()); }
};

struct StepResult {
  double loss = 0;  // mean over the batch of −ln softmax(logits)[label]
  int correct = 0;  // samples whose label has the largest logit
};

struct EvaluationResult {
  double loss_sum = 0;  // over the samples, not their mean: batches add up
  int correct = 0;
};

class Network;

// A classifier with its training step: what the trainer knows of neural networks. Weights come in
// and gradients go out as the flat vector of layout(), which is the same on every backend and
// machine.
//
// Everything is allocated when the model is made, save that the first short training batch of a
// size builds the operations for it (the latest such size is kept, since each data epoch ends with
// the same one).
//
// Thread-compatible.
class Model {
 public:
  // `full` takes batch_size samples; `build` makes the same network for fewer.
  using Build = std::function<absl::StatusOr<std::unique_ptr<Network>>(int batch_size)>;
  Model(std::unique_ptr<Network> full, Build build);
  ~Model();

  const store::ParameterLayout& layout() const;

  // He et al. (2015) initial weights, zero biases, scale 1, shift 0, mean 0, variance 1. Equal bits
  // on all machines for equal seeds. out: layout().size.
  void InitialValues(uint64_t seed, std::span<float> out) const;

  // The weights and statistics for the calls below. `flat` (layout().size) must live, unchanged,
  // until the next LoadWeights: short batches read it again.
  void LoadWeights(std::span<const float> flat);

  // One step's gradient of the mean loss, into gradient_out (layout().trained_size), and the
  // batch's own normalisation statistics, into statistics_out (the layout's kStatistic range, as an
  // estimate of the population: the variance is the unbiased one), for running += momentum · (batch
  // − running). REQUIRES: 2 <= n <= batch_size.
  StepResult ForwardBackward(const Batch& batch, std::span<float> gradient_out,
                             std::span<float> statistics_out);

  // Loss and hits with the loaded statistics. REQUIRES: 1 <= n <= batch_size.
  EvaluationResult Evaluate(const Batch& batch);

  // Re-estimating the statistics of averaged weights: the statistics of one batch, as
  // ForwardBackward gives them, without the backward pass; the caller averages over some batches.
  // REQUIRES: 2 <= n <= batch_size.
  void ForwardStatistics(const Batch& batch, std::span<float> statistics_out);

 private:
  // The network for n samples, with the weights loaded.
  Network& ForTraining(int n);

  const std::unique_ptr<Network> full_;
  const Build build_;
  std::unique_ptr<Network> short_;  // for the latest n below batch_size; null before the first one
  bool short_loaded_ = false;
  std::span<const float> flat_;
  std::vector<float> padded_images_;  // of a short batch in inference
  std::vector<float> logits_;
  std::vector<float> logits_gradient_;
};

// InvalidArgument: no such model, or an image too small for it. `backend` must outlive the model.
absl::StatusOr<std::unique_ptr<Model>> MakeModel(const ModelOptions& options,
                                                 backend::Backend& backend);

}  // namespace grapevine::nn
