#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "operator/api/topology.pb.h"
#include "operator/api/training_job.h"
#include "operator/base/clock.h"
#include "worker/backend/backend.h"
#include "worker/dataset/dataset.h"
#include "worker/gossip/driver.h"
#include "worker/nn/model.h"
#include "worker/store/parameter_store.h"
#include "worker/train/lease_queue.h"
#include "worker/train/trainer.h"
#include "worker/transport/transport.h"

namespace grapevine::assembly {

// Everything that one job's spec makes. Declared in the order in which the parts need each other,
// so that they end in the reverse one.
struct JobParts {
  std::string uid;
  api::TrainingJobSpec spec;     // as it was assigned
  int32_t checkpoints_kept = 1;  // as the spec is now; the errands' alone, once all is made
  std::unique_ptr<const dataset::Dataset> dataset;
  std::unique_ptr<backend::Backend> backend;
  std::unique_ptr<nn::Model> model;
  std::unique_ptr<store::ParameterStore> store;
  std::unique_ptr<gossip::Driver> driver;
  std::unique_ptr<train::LeaseQueue> leases;
  std::unique_ptr<train::Trainer> trainer;
};

// A job that can never run here, and why, as the hub's Unfit says it.
struct Unfit {
  std::string reason;
  std::string message;
};

struct JobPartsOptions {
  int threads = 1;  // of the compute backend
  transport::Transport* transport = nullptr;
  const Clock* clock = nullptr;
  // From threads of the parts:
  std::function<void()> on_worked_off;                  // all leases are
  std::function<void(const absl::Status&)> on_failure;  // training can never go on
};

// Opens the dataset and makes the rest, none of it started. Says why when it cannot be done; then
// `job` is of no use. Takes as long as the dataset takes to read.
std::optional<Unfit> MakeJobParts(const topology::v1::Assign& assign,
                                  const JobPartsOptions& options, JobParts& job);

}  // namespace grapevine::assembly
