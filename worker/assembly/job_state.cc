#include "worker/assembly/job_state.h"

#include <cstdint>
#include <span>
#include <vector>

#include "fmt/format.h"
#include "operator/base/log.h"
#include "worker/checkpoint/checkpoint.h"

namespace grapevine::assembly {
namespace {

namespace proto = topology::v1;

checkpoint::Manifest ManifestOf(const JobParts& job, const proto::JobProgress& progress) {
  checkpoint::Manifest manifest{.job_uid = job.uid,
                                .layout_hash = job.model->layout().hash,
                                .samples = progress.samples(),
                                .data_epoch = progress.data_epoch()};
  for (const proto::BatchRange& range : progress.done()) {
    manifest.done.push_back({range.data_epoch(), range.first_batch(), range.end_batch()});
  }
  return manifest;
}

void Overwrite(std::span<const float> weights, store::ParameterStore& store) {
  const std::vector<float> zero(store.ChunkElements(0));
  for (uint32_t chunk = 0; chunk < store.chunks(); ++chunk) {
    const size_t elements = store.ChunkElements(chunk);
    store.LoadWeights(chunk, weights.subspan(store.ChunkOffset(chunk), elements));
    store.LoadMomentum(chunk, std::span(zero).first(elements));
  }
}

}  // namespace

std::optional<Unfit> FindCheckpoint(const JobParts& job, const std::set<std::string>& unreadable,
                                    std::optional<checkpoint::Found>& found) {
  found = checkpoint::FindNewest(job.spec.checkpoint.path, job.uid, unreadable);
  const uint64_t wanted = job.model->layout().hash;
  if (!found || found->manifest.layout_hash == wanted) return std::nullopt;
  return Unfit{
      "InvalidCheckpoint",
      fmt::format("{}: found a model with the layout hash {:016x}, allowed is that of {} on "
                  "{}, {:016x}",
                  found->file, found->manifest.layout_hash, api::ToString(job.spec.training.model),
                  api::ToString(job.spec.training.dataset.name), wanted)};
}

proto::Checkpoint Describe(const checkpoint::Found& found) {
  proto::Checkpoint checkpoint;
  checkpoint.set_path(found.file);
  proto::JobProgress& progress = *checkpoint.mutable_progress();
  progress.set_samples(found.manifest.samples);
  progress.set_data_epoch(found.manifest.data_epoch);
  for (const checkpoint::DoneRange& done : found.manifest.done) {
    proto::BatchRange& range = *progress.add_done();
    range.set_data_epoch(done.data_epoch);
    range.set_first_batch(done.first_batch);
    range.set_end_batch(done.end_batch);
  }
  return checkpoint;
}

absl::Status LoadStart(const proto::Start& start, JobParts& job) {
  switch (start.from()) {
    case proto::Start::FROM_SEED: {
      std::vector<float> weights(job.model->layout().size);
      job.model->InitialValues(static_cast<uint64_t>(job.spec.training.seed), weights);
      Overwrite(weights, *job.store);
      return absl::OkStatus();
    }
    case proto::Start::FROM_CHECKPOINT:
      return checkpoint::Load(start.checkpoint_path(), job.model->layout(), *job.store).status();
    case proto::Start::FROM_HELD:
      return absl::OkStatus();
    default:
      return absl::InvalidArgumentError("the hub named no way to start");
  }
}

absl::Status WriteCheckpoint(const JobParts& job, const std::string& path,
                             const proto::JobProgress& progress,
                             const store::ParameterStore& weights) {
  const absl::Status status =
      checkpoint::Write(path, ManifestOf(job, progress), job.model->layout(), weights);
  if (status.ok()) {
    checkpoint::Retain(job.spec.checkpoint.path, job.uid, job.checkpoints_kept, path);
    LogInfo("checkpoint {}", path);
  } else {
    LogError("checkpoint {}: {}", path, std::string(status.message()));
  }
  return status;
}

}  // namespace grapevine::assembly
