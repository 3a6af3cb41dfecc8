#pragma once

#include <cstdint>
#include <span>
#include <stop_token>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/dataset/dataset.h"
#include "worker/nn/model.h"

namespace grapevine::train {

struct Evaluation {
  double loss = 0;      // mean over the samples
  double accuracy = 0;  // a fraction
  int64_t samples = 0;
};

// How an evaluation goes through the samples; `batch_size` is at most the model's.
struct Pass {
  int64_t batch_size = 32;
  std::stop_token stop;  // looked at between batches: Cancelled
};

// Loss and accuracy over the whole test set of `weights`, a flat vector in the model's layout, in
// inference. `weights` must live until the model is given others.
absl::StatusOr<Evaluation> Evaluate(nn::Model& model, const dataset::Dataset& dataset,
                                    std::span<const float> weights, const Pass& pass);

// Samples [first, end) of the test set.
struct Slice {
  int64_t first = 0;
  int64_t end = 0;
};

// Sums over a slice: those of slices that make up the test set add up to its evaluation.
struct SliceSums {
  double loss = 0;
  int64_t correct = 0;
};

// As Evaluate, over one slice. InvalidArgument for one that is empty or not of the test set.
absl::StatusOr<SliceSums> EvaluateSlice(nn::Model& model, const dataset::Dataset& dataset,
                                        std::span<const float> weights, const Slice& slice,
                                        const Pass& pass);

// Batches whose statistics Recalibrate averages, or fewer where the training set has fewer.
inline constexpr int64_t kRecalibrationBatches = 100;

// Replaces the running normalisation statistics in `weights` by the mean of those of a fixed choice
// of training batches, unaugmented: statistics averaged over members are not those of the averaged
// model. A model without statistics is left alone.
absl::Status Recalibrate(nn::Model& model, const dataset::Dataset& dataset,
                         std::span<float> weights, const Pass& pass);

}  // namespace grapevine::train
