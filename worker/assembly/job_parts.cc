#include "worker/assembly/job_parts.h"

#include <utility>

#include "worker/assembly/spec_options.h"
#include "worker/backend/onednn/onednn_backend.h"
#include "worker/dataset/permutation.h"
#include "worker/nn/models.h"

namespace grapevine::assembly {
namespace {

constexpr uint64_t kLeaseSeedFactor = 0x9e3779b97f4a7c15;

std::optional<Unfit> MakeModel(int threads, JobParts& job) {
  auto dataset = dataset::Open(SourceOf(job.spec.training.dataset));
  if (!dataset.ok()) return Unfit{"InvalidDataset", std::string(dataset.status().message())};
  job.dataset = *std::move(dataset);
  job.backend = backend::onednn::MakeBackend(threads);
  const dataset::Shape& shape = job.dataset->shape();
  auto model = nn::MakeModel({.name = api::ToString(job.spec.training.model),
                              .channels = shape.channels,
                              .height = shape.height,
                              .width = shape.width,
                              .classes = job.dataset->classes(),
                              .batch_size = job.spec.training.batch_size},
                             *job.backend);
  if (!model.ok()) return Unfit{"InvalidModel", std::string(model.status().message())};
  job.model = *std::move(model);
  return std::nullopt;
}

void MakeTraining(uint64_t own_seed, const JobPartsOptions& options, JobParts& job) {
  const int64_t batches = dataset::BatchesPerDataEpoch(job.dataset->size(dataset::Split::kTrain),
                                                       job.spec.training.batch_size);
  gossip::Driver* const driver = job.driver.get();
  job.leases = std::make_unique<train::LeaseQueue>(train::LeaseQueueOptions{
      .batches_per_data_epoch = batches,
      .seed = own_seed,
      .on_starved = [driver, worked_off = options.on_worked_off](bool starved) {
        driver->SetBackToBack(starved);
        if (starved) worked_off();
      }});
  train::TrainerOptions trainer = TrainerOptionsOf(job.spec.training);
  trainer.on_step = [driver] { driver->NoteStep(); };
  trainer.on_failure = options.on_failure;
  job.trainer =
      std::make_unique<train::Trainer>(trainer, *job.model, *job.dataset, *job.store, *job.leases);
}

}  // namespace

std::optional<Unfit> MakeJobParts(const topology::v1::Assign& assign,
                                  const JobPartsOptions& options, JobParts& job) {
  auto spec = ParseSpec(assign.spec_json());
  if (!spec.ok()) return Unfit{"InvalidSpec", std::string(spec.status().message())};
  job.uid = assign.job_uid();
  job.spec = *std::move(spec);
  job.checkpoints_kept = job.spec.checkpoint.keep;
  if (auto unfit = MakeModel(options.threads, job)) return unfit;
  job.store =
      std::make_unique<store::ParameterStore>(job.model->layout().size, gossip::kChunkElements);
  const uint64_t own_seed = assign.member() * kLeaseSeedFactor + job.spec.training.seed;
  job.driver = std::make_unique<gossip::Driver>(
      gossip::DriverOptions{.seed = own_seed, .policy = ExchangePolicyOf(job.spec.exchange)},
      *options.transport, *job.store, *options.clock);
  MakeTraining(own_seed, options, job);
  return std::nullopt;
}

}  // namespace grapevine::assembly
