#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace grapevine::store {

// What the optimiser may do to an entry of the flat vector.
enum class ParameterKind : uint8_t {
  kWeight = 1,     // trained, with weight decay
  kUndecayed = 2,  // trained, without: biases, scale and shift of normalisations
  // Not trained: running mean and variance of normalisations; travels with the weights.
  kStatistic = 3,
};

// One named tensor of a model, in its plain row-major layout (output channels, input channels,
// height, width for a convolution), whatever layout a backend computes in.
struct ParameterEntry {
  std::string name;  // "stage2.block1.conv1.weight"; unique in the layout
  std::vector<int64_t> shape;
  ParameterKind kind = ParameterKind::kWeight;
  size_t offset = 0;  // of the first element in the flat vector
  size_t size = 0;    // elements
};

// Where each parameter lies in the flat f32 vector that is stored, exchanged, copied to joiners and
// checkpointed. Entries are ordered by kind, so that the ranges below are prefixes and code that
// walks the vector chunk by chunk needs one comparison per chunk:
//
//   [0, decayed_size)             kWeight
//   [decayed_size, trained_size)  kUndecayed
//   [trained_size, size)          kStatistic
struct ParameterLayout {
  std::vector<ParameterEntry> entries;
  size_t decayed_size = 0;
  size_t trained_size = 0;
  size_t size = 0;
  // Over names, shapes and kinds, in order. Equal on all machines for equal layouts; members whose
  // hashes differ never exchange.
  uint64_t hash = 0;
};

// Orders `entries` by kind (within a kind they keep their order) and fills in offsets, sizes and
// the hash; offset and size of the argument are not read.
ParameterLayout MakeParameterLayout(std::vector<ParameterEntry> entries);

}  // namespace grapevine::store
