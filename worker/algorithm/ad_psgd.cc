#include "worker/algorithm/ad_psgd.h"

#include <algorithm>
#include <utility>

#include "operator/base/check.h"

namespace grapevine::algorithm {
namespace {

// Share of the batch's own statistics in the running ones; what PyTorch calls momentum 0.1.
constexpr float kStatisticsShare = 0.1f;

}  // namespace

AdPsgd::AdPsgd(store::ParameterStore& store, const store::ParameterLayout& layout,
               const optimizer::SgdOptions& sgd, std::function<void()> on_step)
    : store_(store), layout_(layout), sgd_(sgd), on_step_(std::move(on_step)) {
  GRAPEVINE_CHECK(store_.elements() == layout_.size);
}

void AdPsgd::ReadWeights(std::span<float> weights) { read_at_ = store_.Read(weights); }

uint64_t AdPsgd::OnGradient(std::span<const float> gradient, std::span<const float> statistics,
                            double learning_rate) {
  const size_t trained = layout_.trained_size;
  GRAPEVINE_CHECK(gradient.size() == trained && trained + statistics.size() == layout_.size);
  sgd_.learning_rate = static_cast<float>(learning_rate);
  const uint64_t staleness = store_.Apply(
      read_at_, [&](size_t offset, std::span<float> weights, std::span<float> momentum) {
        const size_t in_trained = offset < trained ? std::min(weights.size(), trained - offset) : 0;
        if (in_trained > 0) {
          optimizer::SgdUpdate(weights.first(in_trained), momentum.first(in_trained),
                               gradient.subspan(offset, in_trained), sgd_,
                               optimizer::DecayedInChunk(offset, in_trained, layout_.decayed_size));
        }
        for (size_t i = in_trained; i < weights.size(); ++i) {
          weights[i] += kStatisticsShare * (statistics[offset + i - trained] - weights[i]);
        }
      });
  on_step_();
  return staleness;
}

}  // namespace grapevine::algorithm
