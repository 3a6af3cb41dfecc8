#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <vector>

#include "worker/backend/reference/reference_backend.h"
#include "worker/dataset/dataset.h"
#include "worker/dataset/permutation.h"
#include "worker/train/trainer.h"

namespace grapevine::train {

// One member without a hub or peers: what a trainer needs around it, from a seed.
struct TrainingRig {
  struct Options {
    dataset::Source source = {.name = "digits"};
    std::string model = "mlp";
    int64_t batch_size = 32;
    uint64_t seed = 1;
    double learning_rate = 0.05;
    std::vector<double> milestones;
    std::optional<double> max_gradient_norm;
    std::function<void()> on_step = [] {};
    std::function<void(absl::Status)> on_failure = [](absl::Status) {};
  };

  explicit TrainingRig(Options options) {
    backend = backend::reference::MakeBackend();
    dataset = *dataset::Open(options.source);
    const dataset::Shape& shape = dataset->shape();
    model = *nn::MakeModel({.name = options.model,
                            .channels = shape.channels,
                            .height = shape.height,
                            .width = shape.width,
                            .classes = dataset->classes(),
                            .batch_size = static_cast<int>(options.batch_size)},
                           *backend);
    store = std::make_unique<store::ParameterStore>(model->layout().size, 1 << 12);
    std::vector<float> initial(model->layout().size);
    model->InitialValues(options.seed, initial);
    for (uint32_t chunk = 0; chunk < store->chunks(); ++chunk) {
      store->LoadWeights(chunk, std::span(initial).subspan(store->ChunkOffset(chunk),
                                                           store->ChunkElements(chunk)));
    }
    batches =
        dataset::BatchesPerDataEpoch(dataset->size(dataset::Split::kTrain), options.batch_size);
    leases = std::make_unique<LeaseQueue>(
        LeaseQueueOptions{.batches_per_data_epoch = batches, .seed = options.seed});
    trainer = std::make_unique<Trainer>(
        TrainerOptions{
            .batch_size = options.batch_size,
            .seed = options.seed,
            .sgd = {.momentum = 0.9f, .weight_decay = 1e-4f},
            .schedule = {.learning_rate = options.learning_rate, .milestones = options.milestones},
            .max_gradient_norm = options.max_gradient_norm,
            .on_step = options.on_step,
            .on_failure = options.on_failure},
        *model, *dataset, *store, *leases);
  }

  // Leases data epochs [0, n), one lease each.
  void GrantDataEpochs(int64_t n) {
    for (int64_t e = 0; e < n; ++e) {
      ASSERT_TRUE(leases->Add(static_cast<uint64_t>(e + 1), {{e, 0, batches}}).ok());
    }
  }

  std::vector<float> Weights() const {
    std::vector<float> weights(store->elements());
    store->Read(weights);
    return weights;
  }

  std::unique_ptr<backend::Backend> backend;
  std::unique_ptr<const dataset::Dataset> dataset;
  std::unique_ptr<nn::Model> model;
  std::unique_ptr<store::ParameterStore> store;
  int64_t batches = 0;
  std::unique_ptr<LeaseQueue> leases;
  std::unique_ptr<Trainer> trainer;
};

}  // namespace grapevine::train
