#include "worker/assembly/worker.h"

#include <optional>
#include <utility>
#include <vector>

#include "operator/base/text.h"
#include "worker/assembly/job_state.h"
#include "worker/assembly/spec_options.h"

namespace grapevine::assembly {

namespace proto = topology::v1;

namespace {

proto::Finalized WriteFinal(const JobParts& job, const proto::Finalize& request,
                            const absl::StatusOr<train::Finalized>& found) {
  proto::Finalized result;
  result.set_id(request.id());
  absl::Status status = found.status();
  if (status.ok() && !request.checkpoint_path().empty()) {
    status = WriteCheckpoint(job, request.checkpoint_path(), request.progress(), *job.store);
  }
  if (!status.ok()) {
    result.set_error(std::string(status.message()));
    return result;
  }
  result.set_checkpoint_path(request.checkpoint_path());
  result.set_test_samples(found->test_samples);
  result.set_evaluation_seconds(found->evaluation_seconds);
  return result;
}

}  // namespace

Worker::Worker(WorkerOptions options, transport::Transport& transport, const Clock& clock)
    : options_(std::move(options)), transport_(transport), clock_(clock) {}

void Worker::SetJob(std::shared_ptr<JobParts> job) {
  std::shared_ptr<JobParts> old;
  {
    MutexLock lock(mutex_);
    old = std::exchange(current_, job);
  }
  job_ = std::move(job);
}

std::shared_ptr<JobParts> Worker::CurrentJob() const {
  MutexLock lock(mutex_);
  return current_;
}

PartCounts Worker::CountsOf(const JobParts& job) const {
  return {job.trainer->counts(), job.driver->counts(), transport_.traffic()};
}

JobPartsOptions Worker::PartsOptions() {
  return {.threads = options_.threads,
          .transport = &transport_,
          .clock = &clock_,
          .on_worked_off =
              [this] { client_->Post([](control::Session& session) { session.OnWorkedOff(); }); },
          .on_failure =
              [this](const absl::Status& status) {
                LogError("training came to nothing: {}", std::string(status.message()));
                client_->Post([this, status](control::Session& session) {
                  session.Leave(std::string(status.message()));
                  Stop(std::string(status.message()), /*refused=*/true);
                });
              }};
}

void Worker::Build(const proto::Assign& assign) {
  if (job_) {
    // Here and now, whoever else still holds the job: the next driver needs the transport.
    job_->driver->Stop(clock_.Now());
    job_->trainer->Stop();
  }
  SetJob(nullptr);
  errands_.Post([this, assign, unreadable = unreadable_] {
    auto job = std::make_shared<JobParts>();
    std::optional<checkpoint::Found> found;
    std::optional<Unfit> unfit = MakeJobParts(assign, PartsOptions(), *job);
    if (!unfit) unfit = FindCheckpoint(*job, unreadable, found);
    if (unfit) {
      LogError("{}: {}", unfit->reason, unfit->message);
      client_->Post([uid = assign.job_uid(), unfit = *unfit](control::Session& session) {
        session.OnUnfit(uid, unfit.reason, unfit.message);
      });
      return;
    }
    proto::Built built;
    built.set_layout_hash(job->model->layout().hash);
    built.set_samples(job->dataset->size(dataset::Split::kTrain));
    built.set_parameters(static_cast<int64_t>(job->model->layout().size));
    if (found) *built.mutable_checkpoint() = Describe(*found);
    client_->Post([this, job, built](control::Session& session) { OnBuilt(job, built, session); });
  });
}

void Worker::OnBuilt(const std::shared_ptr<JobParts>& job, const proto::Built& built,
                     control::Session& session) {
  if (!session.Awaits(job->uid)) return;
  job->driver->SetBackToBack(true);  // until the first lease
  job->driver->Start();
  job->trainer->Start();
  SetJob(job);
  session.OnBuilt(job->uid, built);
}

void Worker::BecomeMember(uint64_t member) {
  options_.log.member = std::to_string(member);
  ChangeLog(options_.log).IgnoreError();
  job_->leases->Clear();
  baseline_.Clear();
  assembly::FillReport(CountsOf(*job_), /*baseline=*/{}, baseline_);
  job_->driver->SetIdentity(
      {.job_uid = job_->uid, .member = member, .layout_hash = job_->model->layout().hash});
  slices_ =
      std::make_shared<SliceEvaluator>(member, job_, [this](const SliceEvaluator::Work& work) {
        client_->Post([work](control::Session& session) { work(session); });
      });
  LogInfo("registered, reached at {}", transport_.address());
}

void Worker::Begin(const proto::Start& start) {
  job_->trainer->Pause();
  if (start.from() == proto::Start::FROM_COPY) return BeginCopy(start);
  const absl::Status status = LoadStart(start, *job_);
  if (!status.ok() && start.from() == proto::Start::FROM_CHECKPOINT) {
    unreadable_.insert(start.checkpoint_path());
    std::optional<checkpoint::Found> instead;
    const bool fits = !FindCheckpoint(*job_, unreadable_, instead) && instead;
    client_->Post([status, found = fits ? Describe(*instead) : proto::Checkpoint()](
                      control::Session& session) { session.OnUnreadable(status, found); });
    return;
  }
  LogInfo("start {}: {}", proto::Start::From_Name(start.from()),
          status.ok() ? "done" : std::string(status.message()));
  client_->Post([status](control::Session& session) { session.OnStarted(status, 0); });
}

void Worker::BeginCopy(const proto::Start& start) {
  std::vector<gossip::Neighbour> donors;
  for (const proto::Peer& donor : start.donors()) {
    donors.push_back({donor.member(), donor.address()});
  }
  const Time begun = clock_.Now();
  job_->driver->CopyState(donors, *job_->store, [this, begun](const absl::Status& status) {
    const double seconds = ToSeconds(clock_.Now() - begun);
    LogInfo("copy of a donor's state: {} after {:.3f} s",
            status.ok() ? "done" : std::string(status.message()), seconds);
    client_->Post(
        [status, seconds](control::Session& session) { session.OnStarted(status, seconds); });
  });
}

void Worker::SetSpec(const std::string& spec_json) {
  const auto spec = ParseSpec(spec_json);
  if (!spec.ok()) {
    LogError("the job's new spec cannot be used: {}", std::string(spec.status().message()));
    return;
  }
  const int32_t keep = spec->checkpoint.keep;
  LogInfo("the job's spec has changed: {} per step in {}, {} kept",
          Counted(spec->exchange.per_step, "exchange"), api::ToString(spec->exchange.encoding),
          Counted(keep, "checkpoint"));
  job_->driver->SetPolicy(ExchangePolicyOf(spec->exchange));
  errands_.Post([job = job_, keep] { job->checkpoints_kept = keep; });
}

void Worker::SetView(const gossip::View& view) {
  LogInfo("view of epoch {}: {} with {}", view.epoch,
          view.side == gossip::Side::kActive ? "active" : "passive",
          Counted(static_cast<int64_t>(view.neighbours.size()), "neighbour"));
  job_->driver->SetView(view);
}

void Worker::SetProgress(const proto::Progress& progress) {
  job_->trainer->SetProgress(progress.members(), progress.data_epochs());
}

void Worker::Train() {
  LogInfo("training");
  job_->trainer->Resume();
}

void Worker::Finish() {
  LogInfo("finish: no more gradients");
  job_->trainer->Pause();
  job_->driver->Finish();
}

void Worker::Idle() {
  job_->driver->Idle([] { LogInfo("idle: no more exchanges"); });
}

void Worker::Evaluate(uint64_t id) {
  job_->trainer->Evaluate([this, id](const absl::StatusOr<train::Evaluation>& found) {
    proto::Evaluated result;
    result.set_id(id);
    if (found.ok()) {
      Remember(*found);
      result.set_loss(found->loss);
      result.set_accuracy(found->accuracy);
      result.set_samples(found->samples);
    }
    client_->Post([id, result, status = found.status()](control::Session& session) {
      session.OnEvaluated(id, status, result);
    });
  });
}

void Worker::WriteCheckpoint(const proto::WriteCheckpoint& request) {
  errands_.Post([this, job = job_, request] {
    proto::CheckpointWritten written;
    written.set_id(request.id());
    written.set_path(request.path());
    const absl::Status status =
        assembly::WriteCheckpoint(*job, request.path(), request.progress(), *job->store);
    if (!status.ok()) written.set_error(std::string(status.message()));
    client_->Post([written](control::Session& session) { session.OnCheckpointWritten(written); });
  });
}

void Worker::Finalize(const proto::Finalize& request) {
  const auto finalized = [this, job = job_,
                          request](const absl::StatusOr<train::Finalized>& found) {
    errands_.Post([this, job, request, found] {
      const proto::Finalized result = WriteFinal(*job, request, found);
      client_->Post([result](control::Session& session) { session.OnFinalized(result); });
    });
  };
  // Whatever would still be mixed in would not be in the checkpoint.
  job_->driver->Idle([job = job_, finalized] { job->trainer->Finalize(finalized); });
}

void Worker::EvaluateSlice(const proto::EvaluateSlice& request) { slices_->Evaluate(request); }

void Worker::FillReport(proto::Report& report) {
  if (job_) assembly::FillReport(CountsOf(*job_), baseline_, report);
}

void Worker::Stop(const std::string& reason, bool refused) {
  LogInfo("stop: {}", reason);
  refused_ = refused;
  options_.on_stopped();
}

metrics::WorkerCounts Worker::Counts() const {
  metrics::WorkerCounts counts;
  counts.traffic = transport_.traffic();
  if (const auto job = CurrentJob()) {
    counts.trainer = job->trainer->counts();
    counts.gossip = job->driver->counts();
  }
  MutexLock lock(mutex_);
  counts.evaluation = last_evaluation_;
  return counts;
}

void Worker::Remember(const train::Evaluation& evaluation) {
  MutexLock lock(mutex_);
  last_evaluation_ = evaluation;
}

void Worker::WindDown() {
  const auto job = CurrentJob();
  if (!job) return;
  job->driver->BeginNoMore();
  job->trainer->Pause();
}

void Worker::Shutdown(Time deadline) {
  if (job_) {
    job_->driver->Stop(deadline);
    job_->trainer->Stop();
    const train::TrainerCounts counts = job_->trainer->counts();
    LogInfo("trained on {} samples in {} steps; {} of these samples without a lease",
            counts.samples, counts.steps, counts.unleased_samples);
  }
  errands_.Stop();
}

}  // namespace grapevine::assembly
