#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/store/parameter_layout.h"
#include "worker/store/parameter_store.h"

namespace grapevine::checkpoint {

// Batches [first_batch, end_batch) of one data epoch.
struct DoneRange {
  int64_t data_epoch = 0;
  int64_t first_batch = 0;
  int64_t end_batch = 0;

  bool operator==(const DoneRange&) const = default;
};

// What a checkpoint carries besides tensors: whose it is, and how far the job had come.
struct Manifest {
  std::string job_uid;
  uint64_t layout_hash = 0;
  int64_t samples = 0;
  int64_t data_epoch = 0;       // the lowest one with batches left
  std::vector<DoneRange> done;  // of data_epoch and later ones

  bool operator==(const Manifest&) const = default;
};

// A checkpoint is one safetensors file: u64 little-endian header length, JSON header, then the
// tensors, all F32, under their names in the layout, and after them the momentum of each trained
// one as "momentum.<name>"; "__metadata__" carries the manifest. Any reader of safetensors opens
// it.

// Writes what is in the store, chunk by chunk while training may go on, to a temporary name beside
// `file`, flushes it, renames it and flushes the folder, which is made when missing. When it fails
// (ResourceExhausted: disk full) the temporary file is gone and what was at `file` is whole. Costs
// a chunk of memory.
absl::Status Write(const std::string& file, const Manifest& manifest,
                   const store::ParameterLayout& layout, const store::ParameterStore& store);

// Checks all of a file but the values: header, names, shapes, offsets, size. NotFound, or
// InvalidArgument, which says what is wrong with it.
absl::StatusOr<Manifest> ReadManifest(const std::string& file);

// Fills weights and momentum of the store, by name; momentum that is not in the file is zero.
// Besides ReadManifest's errors, FailedPrecondition when the tensors are not those of the layout;
// the store is untouched then, but not after DataLoss, when the file could not be read to its end.
absl::StatusOr<Manifest> Load(const std::string& file, const store::ParameterLayout& layout,
                              store::ParameterStore& store);

}  // namespace grapevine::checkpoint
