#include "worker/dataset/permutation.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "worker/dataset/random_stream.h"

namespace grapevine::dataset {

std::vector<int32_t> Permutation(uint64_t seed, int64_t data_epoch, int64_t samples) {
  std::vector<int32_t> order(static_cast<size_t>(samples));
  std::iota(order.begin(), order.end(), 0);
  RandomStream random(seed, static_cast<uint64_t>(data_epoch));
  for (size_t left = order.size(); left > 1; --left) {
    std::swap(order[left - 1], order[random.Below(left)]);
  }
  return order;
}

int64_t BatchesPerDataEpoch(int64_t samples, int64_t batch_size) {
  return samples / batch_size + (samples % batch_size >= 2 ? 1 : 0);
}

int64_t BatchSamples(int64_t batch, int64_t samples, int64_t batch_size) {
  return std::min(batch_size, samples - batch * batch_size);
}

}  // namespace grapevine::dataset
