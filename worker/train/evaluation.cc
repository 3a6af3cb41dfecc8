#include "worker/train/evaluation.h"

#include <algorithm>
#include <vector>

#include "fmt/format.h"
#include "operator/base/check.h"
#include "worker/dataset/permutation.h"

namespace grapevine::train {
namespace {

using dataset::Split;

// One batch after another in buffers that are made once.
class Reader {
 public:
  Reader(const dataset::Dataset& dataset, Split split, int64_t batch_size)
      : dataset_(dataset),
        split_(split),
        images_(batch_size * dataset.shape().elements()),
        labels_(batch_size) {}

  // The samples index(0), ..., index(n - 1).
  template <typename Index>
  nn::Batch Read(int64_t n, Index index) {
    const size_t elements = dataset_.shape().elements();
    for (int64_t i = 0; i < n; ++i) {
      labels_[i] = dataset_.Get(split_, index(i), {images_.data() + i * elements, elements});
    }
    return {.images = std::span(images_).first(n * elements),
            .labels = std::span(labels_).first(n)};
  }

 private:
  const dataset::Dataset& dataset_;
  const Split split_;
  std::vector<float> images_;
  std::vector<int32_t> labels_;
};

}  // namespace

absl::StatusOr<Evaluation> Evaluate(nn::Model& model, const dataset::Dataset& dataset,
                                    std::span<const float> weights, const Pass& pass) {
  const int64_t samples = dataset.size(Split::kTest);
  if (samples == 0) return absl::FailedPreconditionError("the test set is empty");
  const auto sums = EvaluateSlice(model, dataset, weights, {.first = 0, .end = samples}, pass);
  if (!sums.ok()) return sums.status();
  return Evaluation{.loss = sums->loss / static_cast<double>(samples),
                    .accuracy = static_cast<double>(sums->correct) / static_cast<double>(samples),
                    .samples = samples};
}

absl::StatusOr<SliceSums> EvaluateSlice(nn::Model& model, const dataset::Dataset& dataset,
                                        std::span<const float> weights, const Slice& slice,
                                        const Pass& pass) {
  const int64_t samples = dataset.size(Split::kTest);
  if (slice.first < 0 || slice.first >= slice.end || slice.end > samples) {
    return absl::InvalidArgumentError(
        fmt::format("slice: found samples {} to {}, allowed are some of the test set's {}",
                    slice.first, slice.end, samples));
  }
  model.LoadWeights(weights);
  Reader reader(dataset, Split::kTest, pass.batch_size);
  SliceSums sums;
  for (int64_t first = slice.first; first < slice.end; first += pass.batch_size) {
    if (pass.stop.stop_requested()) return absl::CancelledError("evaluation was stopped");
    const int64_t n = std::min(pass.batch_size, slice.end - first);
    const nn::EvaluationResult result =
        model.Evaluate(reader.Read(n, [&](int64_t i) { return first + i; }));
    sums.loss += result.loss_sum;
    sums.correct += result.correct;
  }
  return sums;
}

absl::Status Recalibrate(nn::Model& model, const dataset::Dataset& dataset,
                         std::span<float> weights, const Pass& pass) {
  const size_t trained = model.layout().trained_size;
  const size_t statistics = model.layout().size - trained;
  if (statistics == 0) return absl::OkStatus();
  model.LoadWeights(weights);
  Reader reader(dataset, Split::kTrain, pass.batch_size);
  const int64_t samples = dataset.size(Split::kTrain);
  // Any order that mixes the classes will do.
  const std::vector<int32_t> order = dataset::Permutation(0, 0, samples);
  // Whole batches weigh the same; a set smaller than one is a batch of its own.
  const int64_t n = std::min(pass.batch_size, samples);
  GRAPEVINE_CHECK(n >= 2);
  const int64_t batches = std::min(kRecalibrationBatches, samples / n);
  std::vector<float> of_batch(statistics);
  std::vector<double> sum(statistics);
  for (int64_t b = 0; b < batches; ++b) {
    if (pass.stop.stop_requested()) return absl::CancelledError("recalibration was stopped");
    model.ForwardStatistics(reader.Read(n, [&](int64_t i) { return order[b * n + i]; }), of_batch);
    for (size_t i = 0; i < statistics; ++i) sum[i] += of_batch[i];
  }
  for (size_t i = 0; i < statistics; ++i) {
    weights[trained + i] = static_cast<float>(sum[i] / static_cast<double>(batches));
  }
  return absl::OkStatus();
}

}  // namespace grapevine::train
