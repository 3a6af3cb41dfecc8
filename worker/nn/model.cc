#include "worker/nn/model.h"

#include <algorithm>
#include <utility>

#include "fmt/core.h"
#include "operator/base/check.h"
#include "worker/nn/loss.h"
#include "worker/nn/models.h"
#include "worker/nn/network.h"

namespace grapevine::nn {

using backend::Mode;

Model::Model(std::unique_ptr<Network> full, Build build)
    : full_(std::move(full)),
      build_(std::move(build)),
      padded_images_(full_->image_shape().size()),
      logits_(full_->logits_shape().size()),
      logits_gradient_(logits_.size()) {}

Model::~Model() = default;

const store::ParameterLayout& Model::layout() const { return full_->layout(); }

void Model::InitialValues(uint64_t seed, std::span<float> out) const {
  full_->InitialValues(seed, out);
}

void Model::LoadWeights(std::span<const float> flat) {
  flat_ = flat;
  full_->Load(flat);
  short_loaded_ = false;
}

Network& Model::ForTraining(int n) {
  const int batch_size = full_->image_shape().n;
  GRAPEVINE_CHECK(n >= 2 && n <= batch_size);
  if (n == batch_size) return *full_;
  if (short_ == nullptr || short_->image_shape().n != n) {
    absl::StatusOr<std::unique_ptr<Network>> made = build_(n);
    GRAPEVINE_CHECK(made.ok());  // the same shapes fitted for batch_size
    short_ = *std::move(made);
    short_loaded_ = false;
  }
  if (!short_loaded_) short_->Load(flat_);
  short_loaded_ = true;
  return *short_;
}

StepResult Model::ForwardBackward(const Batch& batch, std::span<float> gradient_out,
                                  std::span<float> statistics_out) {
  Network& network = ForTraining(batch.n());
  network.images().Write(batch.images);
  network.Forward(Mode::kTraining);
  const size_t size = network.logits_shape().size();
  const std::span<float> logits = std::span(logits_).first(size);
  const std::span<float> gradient = std::span(logits_gradient_).first(size);
  network.logits().Read(logits);
  const LossResult loss =
      SoftmaxCrossEntropy(logits, network.logits_shape().c, batch.labels, gradient);
  network.logits().WriteGradient(gradient);
  network.Backward();
  network.ReadGradients(gradient_out);
  network.ReadStatistics(statistics_out);
  return {.loss = loss.sum / batch.n(), .correct = loss.correct};
}

EvaluationResult Model::Evaluate(const Batch& batch) {
  GRAPEVINE_CHECK(batch.n() >= 1 && batch.n() <= full_->image_shape().n);
  std::span<const float> images = batch.images;
  if (images.size() < padded_images_.size()) {
    // In inference samples do not see one another, so the rest of a short batch may be anything.
    std::copy(images.begin(), images.end(), padded_images_.begin());
    images = padded_images_;
  }
  full_->images().Write(images);
  full_->Forward(Mode::kInference);
  full_->logits().Read(logits_);
  const LossResult loss = SoftmaxCrossEntropy(logits_, full_->logits_shape().c, batch.labels, {});
  return {.loss_sum = loss.sum, .correct = loss.correct};
}

void Model::ForwardStatistics(const Batch& batch, std::span<float> statistics_out) {
  Network& network = ForTraining(batch.n());
  network.images().Write(batch.images);
  network.Forward(Mode::kTraining);
  network.ReadStatistics(statistics_out);
}

absl::StatusOr<std::unique_ptr<Model>> MakeModel(const ModelOptions& options,
                                                 backend::Backend& backend) {
  if (options.batch_size < 2 || options.classes < 2) {
    return absl::InvalidArgumentError(fmt::format(
        "a model needs a batch size and a number of classes of at least 2, not {} and {}",
        options.batch_size, options.classes));
  }
  const auto make = options.name == "mlp"        ? MakeMlp
                    : options.name == "lenet5"   ? MakeLenet5
                    : options.name == "resnet20" ? MakeResnet20
                                                 : nullptr;
  if (make == nullptr) {
    return absl::InvalidArgumentError(
        fmt::format("no model \"{}\": there are mlp, lenet5 and resnet20", options.name));
  }
  Model::Build build = [options, make, &backend](int n) {
    return make({n, options.channels, options.height, options.width}, options.classes, backend);
  };
  absl::StatusOr<std::unique_ptr<Network>> full = build(options.batch_size);
  if (!full.ok()) return full.status();
  return std::make_unique<Model>(*std::move(full), std::move(build));
}

}  // namespace grapevine::nn
