#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "operator/api/topology.pb.h"
#include "operator/base/clock.h"
#include "operator/base/log.h"
#include "operator/base/mutex.h"
#include "worker/assembly/errands.h"
#include "worker/assembly/job_parts.h"
#include "worker/assembly/member_report.h"
#include "worker/assembly/slice_evaluator.h"
#include "worker/control/session.h"
#include "worker/control/topology_client.h"
#include "worker/metrics/worker_metrics.h"
#include "worker/train/evaluation.h"
#include "worker/train/trainer.h"
#include "worker/transport/transport.h"

namespace grapevine::assembly {

struct WorkerOptions {
  int threads = 1;                   // of the compute backend
  LogOptions log;                    // in force; the member is added to it
  std::function<void()> on_stopped;  // the session is over; from any thread
};

// The worker's parts around one job, as its session with the hub moves them: what the spec makes,
// and the two threads beside the control thread that do what takes long, the trainer's and that of
// the errands. Lives on the control thread, but for what says otherwise.
class Worker final : public control::Parts {
 public:
  // Both must outlive it.
  Worker(WorkerOptions options, transport::Transport& transport, const Clock& clock);

  // Where the answers of what takes long are posted. Before the first message; it must outlive
  // Shutdown.
  void SetClient(control::TopologyClient* client) { client_ = client; }

  void Build(const topology::v1::Assign& assign) override;
  void BecomeMember(uint64_t member) override;
  void Begin(const topology::v1::Start& start) override;
  void SetSpec(const std::string& spec_json) override;
  void SetView(const gossip::View& view) override;
  void SetProgress(const topology::v1::Progress& progress) override;
  void Train() override;
  void Finish() override;
  void Idle() override;
  void Evaluate(uint64_t id) override;
  void WriteCheckpoint(const topology::v1::WriteCheckpoint& request) override;
  void Finalize(const topology::v1::Finalize& request) override;
  void EvaluateSlice(const topology::v1::EvaluateSlice& request) override;
  void FillReport(topology::v1::Report& report) override;
  void Stop(const std::string& reason, bool refused) override;
  train::LeaseQueue* leases() override { return job_ ? job_->leases.get() : nullptr; }
  bool settled() const override { return job_ && job_->driver->counts().settled; }

  // From any thread.
  bool refused() const { return refused_; }

  // For metrics; empty counts while nothing is built. From any thread.
  metrics::WorkerCounts Counts() const;

  // Lets the step and the exchange under way end and begins no others. From any thread.
  void WindDown();

  // Ends training, the exchange and the errand under way. Once the control thread has ended, and
  // while the client lives: all of them post to it.
  void Shutdown(Time deadline);

 private:
  void SetJob(std::shared_ptr<JobParts> job);
  std::shared_ptr<JobParts> CurrentJob() const;
  PartCounts CountsOf(const JobParts& job) const;
  JobPartsOptions PartsOptions();
  void OnBuilt(const std::shared_ptr<JobParts>& job, const topology::v1::Built& built,
               control::Session& session);
  void BeginCopy(const topology::v1::Start& start);
  void Remember(const train::Evaluation& evaluation);

  WorkerOptions options_;
  transport::Transport& transport_;
  const Clock& clock_;
  control::TopologyClient* client_ = nullptr;
  // Totals when the present member id was taken: reports count from there.
  topology::v1::Report baseline_;
  std::set<std::string> unreadable_;  // checkpoints that could not be loaded
  std::atomic<bool> refused_ = false;
  std::shared_ptr<JobParts> job_;           // the control thread's own reference to current_
  std::shared_ptr<SliceEvaluator> slices_;  // of the present member id

  mutable Mutex mutex_;
  std::shared_ptr<JobParts> current_ ABSL_GUARDED_BY(mutex_);
  train::Evaluation last_evaluation_ ABSL_GUARDED_BY(mutex_);

  Errands errands_;  // last: its errands use the rest
};

}  // namespace grapevine::assembly
