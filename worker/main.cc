// grapevine-worker: trains one copy of the model and gossips. It is told by its environment who it
// is and where the hub is; all else comes with the hub's answer, so one command line serves every
// job.

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <set>

#include "CLI/CLI.hpp"
#include "fmt/format.h"
#include "operator/api/validation.h"
#include "operator/base/log.h"
#include "worker/backend/onednn/onednn_backend.h"
#include "worker/checkpoint/checkpoint.h"
#include "worker/checkpoint/retention.h"
#include "worker/control/topology_client.h"
#include "worker/dataset/permutation.h"
#include "worker/environment.h"
#include "worker/errands.h"
#include "worker/gossip/driver.h"
#include "worker/member_report.h"
#include "worker/metrics/worker_metrics.h"
#include "worker/spec_options.h"
#include "worker/train/trainer.h"
#include "worker/transport/grpc/grpc_transport.h"

namespace grapevine {
namespace {

namespace proto = topology::v1;

constexpr Duration kLeaveLimit = 5s;  // for the exchange under way, then for goodbye
constexpr int kSignalDone = SIGUSR1;  // from Stop to the main thread
constexpr uint64_t kLeaseSeedFactor = 0x9e3779b97f4a7c15;

// Everything that one job's spec makes. Declared in the order in which the parts need each other,
// so that they end in the reverse one.
struct Job {
  std::string uid;
  api::TrainingJobSpec spec;
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

// Opens the dataset and makes the model. Sets `unfit` and returns false when the spec cannot be
// met.
bool MakeModel(int threads, Job& job, Unfit& unfit) {
  auto dataset = dataset::Open(SourceOf(job.spec.training.dataset));
  if (!dataset.ok()) {
    unfit = {"InvalidDataset", std::string(dataset.status().message())};
    return false;
  }
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
  if (!model.ok()) {
    unfit = {"InvalidModel", std::string(model.status().message())};
    return false;
  }
  job.model = *std::move(model);
  return true;
}

// Finds the checkpoint to announce, if there is one. Sets `unfit` and returns false when it is
// another model's: it has the job's progress, which no start but from it would keep.
bool FindCheckpoint(const Job& job, const std::set<std::string>& unreadable,
                    std::optional<checkpoint::Found>& found, Unfit& unfit) {
  found = checkpoint::FindNewest(job.spec.checkpoint.path, job.uid, unreadable);
  const uint64_t wanted = job.model->layout().hash;
  if (!found || found->manifest.layout_hash == wanted) return true;
  unfit = {
      "InvalidCheckpoint",
      fmt::format("{}: found a model with the layout hash {:016x}, allowed is that of {} on "
                  "{}, {:016x}",
                  found->file, found->manifest.layout_hash, api::ToString(job.spec.training.model),
                  api::ToString(job.spec.training.dataset.name), wanted)};
  return false;
}

checkpoint::Manifest ManifestOf(const Job& job, const proto::JobProgress& progress) {
  checkpoint::Manifest manifest{.job_uid = job.uid,
                                .layout_hash = job.model->layout().hash,
                                .samples = progress.samples(),
                                .data_epoch = progress.data_epoch()};
  for (const proto::BatchRange& range : progress.done()) {
    manifest.done.push_back({range.data_epoch(), range.first_batch(), range.end_batch()});
  }
  return manifest;
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

void Overwrite(store::ParameterStore& store, std::span<const float> weights) {
  const std::vector<float> zero(store.ChunkElements(0));
  for (uint32_t chunk = 0; chunk < store.chunks(); ++chunk) {
    const size_t elements = store.ChunkElements(chunk);
    store.LoadWeights(chunk, weights.subspan(store.ChunkOffset(chunk), elements));
    store.LoadMomentum(chunk, std::span(zero).first(elements));
  }
}

// The worker's parts, as its session with the hub moves them. Lives on the control thread, but for
// Counts, which any thread may call.
class Worker final : public control::Parts {
 public:
  Worker(const Environment& environment, const LogOptions& log, transport::Transport& transport,
         const Clock& clock)
      : environment_(environment), log_(log), transport_(transport), clock_(clock) {}

  // Where the answers of what takes long are posted. Before the first message.
  void SetClient(control::TopologyClient* client) { client_ = client; }

  void Build(const proto::Assign& assign) override {
    if (job_) {
      // Here and now, whoever else still holds the job: the next driver needs the transport.
      job_->driver->Stop(clock_.Now());
      job_->trainer->Stop();
    }
    SetJob(nullptr);
    errands_.Post([this, assign, unreadable = unreadable_] {
      auto job = std::make_shared<Job>();
      std::optional<checkpoint::Found> found;
      Unfit unfit;
      if (BuildJob(assign, *job, unfit) && FindCheckpoint(*job, unreadable, found, unfit)) {
        client_->Post([this, job, found](control::Session& session) {
          if (!session.Awaits(job->uid)) return;
          job->driver->SetBackToBack(true);  // until the first lease
          job->driver->Start();
          job->trainer->Start();
          SetJob(job);
          proto::Built built;
          built.set_layout_hash(job->model->layout().hash);
          built.set_samples(job->dataset->size(dataset::Split::kTrain));
          built.set_parameters(static_cast<int64_t>(job->model->layout().size));
          if (found) *built.mutable_checkpoint() = Describe(*found);
          session.OnBuilt(job->uid, built);
        });
      } else {
        LogError("{}: {}", unfit.reason, unfit.message);
        client_->Post([uid = assign.job_uid(), unfit](control::Session& session) {
          session.OnUnfit(uid, unfit.reason, unfit.message);
        });
      }
    });
  }

  void BecomeMember(uint64_t member) override {
    log_.member = std::to_string(member);
    ChangeLog(log_).IgnoreError();
    job_->leases->Clear();
    baseline_.Clear();
    grapevine::FillReport(CountsOf(*job_), /*baseline=*/{}, baseline_);
    job_->driver->SetIdentity(
        {.job_uid = job_->uid, .member = member, .layout_hash = job_->model->layout().hash});
    LogInfo("registered, reached at {}", transport_.address());
  }

  void Begin(const proto::Start& start) override {
    job_->trainer->Pause();
    if (start.from() == proto::Start::FROM_COPY) return BeginCopy(start);
    const absl::Status status = Load(start);
    if (!status.ok() && start.from() == proto::Start::FROM_CHECKPOINT) {
      unreadable_.insert(start.checkpoint_path());
    }
    LogInfo("start {}: {}", proto::Start::From_Name(start.from()),
            status.ok() ? "done" : std::string(status.message()));
    client_->Post([status](control::Session& session) { session.OnStarted(status, 0); });
  }

  void SetView(const gossip::View& view) override {
    LogInfo("view of epoch {}: {} with {} neighbours", view.epoch,
            view.side == gossip::Side::kActive ? "active" : "passive", view.neighbours.size());
    job_->driver->SetView(view);
  }

  void SetProgress(const proto::Progress& progress) override {
    job_->trainer->SetProgress(progress.members(), progress.data_epochs());
  }

  void Train() override {
    LogInfo("training");
    job_->trainer->Resume();
  }

  void Finish() override {
    LogInfo("finish: no more gradients");
    job_->trainer->Pause();
    job_->driver->Finish();
  }

  void Evaluate(uint64_t id) override {
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

  void WriteCheckpoint(const proto::WriteCheckpoint& request) override {
    errands_.Post([this, job = job_, request] {
      proto::CheckpointWritten written;
      written.set_id(request.id());
      written.set_path(request.path());
      const absl::Status status = Write(*job, request.path(), request.progress(), *job->store);
      if (!status.ok()) written.set_error(std::string(status.message()));
      client_->Post([written](control::Session& session) { session.OnCheckpointWritten(written); });
    });
  }

  void Finalize(const proto::Finalize& request) override {
    job_->trainer->Finalize(
        [this, job = job_, request](const absl::StatusOr<train::Finalized>& found) {
          errands_.Post([this, job, request, found] {
            const proto::Finalized result = WriteFinal(*job, request, found);
            client_->Post([result](control::Session& session) { session.OnFinalized(result); });
          });
        });
  }

  void FillReport(proto::Report& report) override {
    if (job_) grapevine::FillReport(CountsOf(*job_), baseline_, report);
  }

  void Stop(const std::string& reason, bool refused) override {
    LogInfo("stop: {}", reason);
    refused_ = refused;
    kill(getpid(), kSignalDone);
  }

  train::LeaseQueue* leases() override { return job_ ? job_->leases.get() : nullptr; }
  bool settled() const override { return job_ && job_->driver->counts().settled; }
  bool refused() const { return refused_; }

  // For metrics; empty counts while nothing is built.
  metrics::WorkerCounts Counts() const;

  // Ends training, the exchange and the errand under way. Once the control thread has ended, and
  // while the client lives: all of them post to it.
  void Shutdown(Time deadline) {
    if (job_) {
      job_->driver->Stop(deadline);
      job_->trainer->Stop();
    }
    errands_.Stop();
  }

  // Lets the step and the exchange under way end and begins no others. From any thread.
  void WindDown() {
    const auto job = CurrentJob();
    if (!job) return;
    job->driver->BeginNoMore();
    job->trainer->Pause();
  }

 private:
  void SetJob(std::shared_ptr<Job> job) {
    std::shared_ptr<Job> old;
    {
      MutexLock lock(mutex_);
      old = std::exchange(current_, job);
    }
    job_ = std::move(job);
  }
  std::shared_ptr<Job> CurrentJob() const {
    MutexLock lock(mutex_);
    return current_;
  }

  bool BuildJob(const proto::Assign& assign, Job& job, Unfit& unfit);
  PartCounts CountsOf(const Job& job) const {
    return {job.trainer->counts(), job.driver->counts(), transport_.traffic()};
  }
  void BeginCopy(const proto::Start& start);
  absl::Status Load(const proto::Start& start);
  absl::Status Write(const Job& job, const std::string& path, const proto::JobProgress& progress,
                     const store::ParameterStore& weights);
  proto::Finalized WriteFinal(const Job& job, const proto::Finalize& request,
                              const absl::StatusOr<train::Finalized>& found);
  void Remember(const train::Evaluation& evaluation) {
    MutexLock lock(mutex_);
    last_evaluation_ = evaluation;
  }

  const Environment environment_;
  LogOptions log_;
  transport::Transport& transport_;
  const Clock& clock_;
  control::TopologyClient* client_ = nullptr;
  proto::Report baseline_;  // totals when the present member id was taken: reports count from there
  std::set<std::string> unreadable_;  // checkpoints that could not be loaded
  std::atomic<bool> refused_ = false;
  std::shared_ptr<Job> job_;  // the control thread's own reference to current_

  mutable Mutex mutex_;
  std::shared_ptr<Job> current_ ABSL_GUARDED_BY(mutex_);
  train::Evaluation last_evaluation_ ABSL_GUARDED_BY(mutex_);

  Errands errands_;  // last: its errands use the rest
};

bool Worker::BuildJob(const proto::Assign& assign, Job& job, Unfit& unfit) {
  const auto object = nlohmann::json::parse(assign.spec_json(), nullptr, false);
  auto spec = api::TrainingJobSpecFromJson(object);
  if (!spec.ok()) {
    unfit = {"InvalidSpec", std::string(spec.status().message())};
    return false;
  }
  job.uid = assign.job_uid();
  job.spec = *std::move(spec);
  if (!MakeModel(environment_.threads, job, unfit)) return false;
  const store::ParameterLayout& layout = job.model->layout();
  job.store = std::make_unique<store::ParameterStore>(layout.size, gossip::kChunkElements);
  const uint64_t own_seed = assign.member() * kLeaseSeedFactor + job.spec.training.seed;
  job.driver = std::make_unique<gossip::Driver>(
      gossip::DriverOptions{.seed = own_seed, .policy = ExchangePolicyOf(job.spec.exchange)},
      transport_, *job.store, clock_);
  const int64_t batches = dataset::BatchesPerDataEpoch(job.dataset->size(dataset::Split::kTrain),
                                                       job.spec.training.batch_size);
  gossip::Driver* const driver = job.driver.get();
  job.leases = std::make_unique<train::LeaseQueue>(train::LeaseQueueOptions{
      .batches_per_data_epoch = batches,
      .seed = own_seed,
      .on_starved = [this, driver](bool starved) {
        driver->SetBackToBack(starved);
        if (starved) client_->Post([](control::Session& session) { session.OnWorkedOff(); });
      }});
  train::TrainerOptions options = TrainerOptionsOf(job.spec.training);
  options.on_step = [driver] { driver->NoteStep(); };
  options.on_failure = [this](const absl::Status& status) {
    LogError("training came to nothing: {}", std::string(status.message()));
    client_->Post([this, status](control::Session& session) {
      session.Leave(std::string(status.message()));
      Stop(std::string(status.message()), /*refused=*/true);
    });
  };
  job.trainer =
      std::make_unique<train::Trainer>(options, *job.model, *job.dataset, *job.store, *job.leases);
  return true;
}

absl::Status Worker::Load(const proto::Start& start) {
  switch (start.from()) {
    case proto::Start::FROM_SEED: {
      std::vector<float> weights(job_->model->layout().size);
      job_->model->InitialValues(static_cast<uint64_t>(job_->spec.training.seed), weights);
      Overwrite(*job_->store, weights);
      return absl::OkStatus();
    }
    case proto::Start::FROM_CHECKPOINT:
      return checkpoint::Load(start.checkpoint_path(), job_->model->layout(), *job_->store)
          .status();
    case proto::Start::FROM_HELD:
      return absl::OkStatus();
    default:
      return absl::InvalidArgumentError("the hub named no way to start");
  }
}

void Worker::BeginCopy(const proto::Start& start) {
  std::vector<gossip::Neighbour> donors;
  for (const proto::Peer& donor : start.donors()) {
    donors.push_back({donor.member(), donor.address()});
  }
  const Time begun = clock_.Now();
  job_->driver->CopyState(donors, [this, begun](const absl::Status& status) {
    const double seconds = ToSeconds(clock_.Now() - begun);
    LogInfo("copy of a donor's state: {} after {:.3f} s",
            status.ok() ? "done" : std::string(status.message()), seconds);
    client_->Post(
        [status, seconds](control::Session& session) { session.OnStarted(status, seconds); });
  });
}

absl::Status Worker::Write(const Job& job, const std::string& path,
                           const proto::JobProgress& progress,
                           const store::ParameterStore& weights) {
  const absl::Status status =
      checkpoint::Write(path, ManifestOf(job, progress), job.model->layout(), weights);
  if (status.ok()) {
    checkpoint::Retain(job.spec.checkpoint.path, job.uid, job.spec.checkpoint.keep, path);
    LogInfo("checkpoint {}", path);
  } else {
    LogError("checkpoint {}: {}", path, std::string(status.message()));
  }
  return status;
}

proto::Finalized Worker::WriteFinal(const Job& job, const proto::Finalize& request,
                                    const absl::StatusOr<train::Finalized>& found) {
  proto::Finalized result;
  result.set_id(request.id());
  if (!found.ok()) {
    result.set_error(std::string(found.status().message()));
    return result;
  }
  Remember(found->evaluation);
  result.set_loss(found->evaluation.loss);
  result.set_accuracy(found->evaluation.accuracy);
  if (request.checkpoint_path().empty()) return result;
  const absl::Status status =
      Write(job, request.checkpoint_path(), request.progress(), *found->weights);
  if (status.ok()) {
    result.set_checkpoint_path(request.checkpoint_path());
  } else {
    result.set_error(std::string(status.message()));
  }
  return result;
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

int Fail(const absl::Status& status) {
  LogError("{}", std::string(status.message()));
  return status.code() == absl::StatusCode::kInvalidArgument ? 2 : 1;
}

// Until SIGTERM, SIGINT or the end of the session.
int Work(const Environment& environment, const LogOptions& log, const sigset_t& signals) {
  const RealClock clock;
  auto transport = transport::GrpcTransport::Create(
      {.listen = environment.listen, .advertised_host = environment.advertise});
  if (!transport.ok()) return Fail(transport.status());
  Worker worker(environment, log, **transport, clock);
  const auto metrics =
      metrics::WorkerMetrics::Serve(environment.metrics, [&worker] { return worker.Counts(); });
  if (!metrics.ok()) return Fail(metrics.status());
  control::TopologyClient client({.hub_address = environment.hub,
                                  .session = {.name_space = environment.name_space,
                                              .job = environment.job,
                                              .pod = environment.pod,
                                              .pod_uid = environment.pod_uid,
                                              .address = (*transport)->address()}},
                                 worker, clock);
  worker.SetClient(&client);
  LogInfo("peers at {}, metrics on port {}, hub {}", (*transport)->address(), (*metrics)->port(),
          environment.hub);
  client.Start();
  int signal = 0;
  sigwait(&signals, &signal);
  // Before the leases are handed back: a member without one exchanges back to back.
  worker.WindDown();
  if (signal != kSignalDone) {
    client.Post([](control::Session& session) { session.Leave("asked to end"); });
  }
  client.Stop(clock.Now() + kLeaveLimit);
  worker.Shutdown(clock.Now() + kLeaveLimit);
  return worker.refused() ? 1 : 0;
}

}  // namespace
}  // namespace grapevine

int main(int argc, char** argv) {
  using namespace grapevine;
  // Blocked in every thread, since the threads are made later: the main thread waits for them.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, kSignalDone}) sigaddset(&signals, signal);
  sigprocmask(SIG_BLOCK, &signals, nullptr);

  CLI::App app("Trains one copy of a model and averages it with its neighbours.",
               "grapevine-worker");
  std::string format = "text";
  app.add_option("--log-format", format, "text or json")->check(CLI::IsMember({"text", "json"}));
  CLI11_PARSE(app, argc, argv);
  const auto environment = ReadEnvironment();
  LogOptions log{.format = format == "json" ? LogFormat::kJson : LogFormat::kText};
  if (environment.ok()) log.job = environment->name_space + "/" + environment->job;
  StartLog(log).IgnoreError();
  return environment.ok() ? Work(*environment, log, signals) : Fail(environment.status());
}
