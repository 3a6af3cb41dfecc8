#pragma once

#include <cstdint>
#include <vector>

namespace grapevine::dataset {

// The order of a data epoch: a function of the arguments alone, equal on all machines, so that a
// batch is named by (data epoch, number) between hub and members. Pure; 8 ns a sample. REQUIRES:
// samples < 2^31.
std::vector<int32_t> Permutation(uint64_t seed, int64_t data_epoch, int64_t samples);

// Batch b is the samples [b * batch_size, (b + 1) * batch_size) of the permutation. Only the last
// one of a data epoch is short, and it is dropped when a single sample is left, which no
// normalisation over a batch survives.
int64_t BatchesPerDataEpoch(int64_t samples, int64_t batch_size);
int64_t BatchSamples(int64_t batch, int64_t samples, int64_t batch_size);

}  // namespace grapevine::dataset
