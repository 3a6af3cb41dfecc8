#include "worker/train/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <deque>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "operator/base/check.h"
#include "operator/base/clock.h"
#include "operator/base/mutex.h"
#include "worker/algorithm/ad_psgd.h"
#include "worker/dataset/prefetch.h"
#include "worker/optimizer/clip.h"

namespace grapevine::train {
namespace {

constexpr size_t kLossWindow = 20;
constexpr int kMaxSkippedInARow = 20;
// What is left of a step in the measured rate after the next one: about the last 20 steps count.
constexpr double kRateMemory = 0.95;
// Forward once, and back, which is twice the work.
constexpr double kStepOverForward = 3;

// x * 0 is NaN for what is not finite, and the loop has no branch.
bool AllFinite(std::span<const float> values) {
  float sum = 0;
  for (float value : values) sum += value * 0.0f;
  return sum == 0;
}

int StalenessBucket(uint64_t staleness) {
  if (staleness <= 1) return static_cast<int>(staleness);
  return std::min(kStalenessBuckets - 1, 1 + static_cast<int>(std::bit_width(staleness - 1)));
}

}  // namespace

class Trainer::Loop {
 public:
  Loop(TrainerOptions options, nn::Model& model, const dataset::Dataset& dataset,
       store::ParameterStore& store, LeaseQueue& leases)
      : options_(std::move(options)),
        model_(model),
        dataset_(dataset),
        store_(store),
        leases_(leases),
        algorithm_(store, model.layout(), options_.sgd, options_.on_step),
        schedule_(options_.schedule),
        weights_(model.layout().size),
        gradient_(model.layout().trained_size),
        statistics_(model.layout().size - model.layout().trained_size),
        prefetch_({.batch_size = options_.batch_size, .seed = options_.seed}, dataset,
                  [&leases] { return leases.Next(); }) {}

  void Start() {
    prefetch_.Start();
    thread_ = std::jthread([this](std::stop_token stop) { Run(stop); });
  }

  void Stop() {
    leases_.Stop();
    {
      MutexLock lock(mutex_);
      stopped_ = true;
      changed_.NotifyAll();
    }
    thread_.request_stop();
    prefetch_.Interrupt();
    if (thread_.joinable()) thread_.join();
    prefetch_.Stop();
  }

  void Pause() {
    MutexLock lock(mutex_);
    paused_ = true;
    data_epochs_ = data_epochs_told_ = 0;
    leased_since_told_ = 0;
    prefetch_.Interrupt();
    while (in_step_) changed_.Wait(mutex_);
  }

  void Resume() {
    MutexLock lock(mutex_);
    paused_ = false;
    changed_.NotifyAll();
  }

  void SetProgress(uint32_t members, double data_epochs) {
    MutexLock lock(mutex_);
    members_ = std::max(members, 1u);
    data_epochs_told_ = data_epochs;
    leased_since_told_ = 0;
  }

  void AddJob(std::function<void(bool cancelled)> job) {
    {
      MutexLock lock(mutex_);
      if (!stopped_) {
        jobs_.push_back(std::move(job));
        changed_.NotifyAll();
        prefetch_.Interrupt();
        return;
      }
    }
    job(true);
  }

  absl::StatusOr<Evaluation> Evaluate() {
    store_.Read(weights_);
    return train::Evaluate(model_, dataset_, weights_, ThisPass());
  }

  absl::StatusOr<Finalized> Finalize() {
    const int64_t samples = dataset_.size(dataset::Split::kTest);
    if (samples == 0) return absl::FailedPreconditionError("the test set is empty");
    store_.Read(weights_);
    if (auto status = Recalibrate(model_, dataset_, weights_, ThisPass()); !status.ok()) {
      return status;
    }
    for (uint32_t chunk = 0; chunk < store_.chunks(); ++chunk) {
      const size_t elements = store_.ChunkElements(chunk);
      store_.LoadWeights(chunk, std::span(weights_).subspan(store_.ChunkOffset(chunk), elements));
    }
    const double rate = kStepOverForward * counts().samples_per_second;
    return Finalized{.test_samples = samples,
                     .evaluation_seconds = rate > 0 ? static_cast<double>(samples) / rate : 0};
  }

  absl::StatusOr<SliceSums> EvaluateSlice(const store::ParameterStore* weights,
                                          const Slice& slice) {
    (weights != nullptr ? *weights : store_).Read(weights_);
    return train::EvaluateSlice(model_, dataset_, weights_, slice, ThisPass());
  }

  // Answers `done` with what `work` finds, on the trainer thread.
  template <typename Found>
  void Answer(std::function<absl::StatusOr<Found>()> work,
              std::function<void(absl::StatusOr<Found>)> done) {
    AddJob([work = std::move(work), done = std::move(done)](bool cancelled) {
      done(cancelled ? absl::CancelledError("training was stopped") : work());
    });
  }

  TrainerCounts counts() const {
    MutexLock lock(mutex_);
    return counts_;
  }

 private:
  void Run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      if (DoJob() || WaitWhilePaused()) continue;
      // Null when there is something else to do.
      const dataset::PreparedBatch* batch = prefetch_.Next();
      if (batch == nullptr) continue;
      if (!BeginStep()) continue;  // the batch stays for when training goes on
      if (leases_.Start(batch->draw)) {
        Step(*batch);
        leases_.Done(batch->draw);
      }
      prefetch_.Release();
      EndStep();
    }
    while (DoJob()) continue;
  }

  // Runs the job that has waited longest, if there is one; after Stop, only to answer it.
  bool DoJob() {
    std::function<void(bool)> job;
    bool cancelled = false;
    {
      MutexLock lock(mutex_);
      if (jobs_.empty()) return false;
      job = std::move(jobs_.front());
      jobs_.pop_front();
      cancelled = stopped_;
    }
    job(cancelled);
    return true;
  }

  // True when it had to wait, or else training may go on.
  bool WaitWhilePaused() {
    MutexLock lock(mutex_);
    if (!paused_) return false;
    while (paused_ && !stopped_ && jobs_.empty()) changed_.Wait(mutex_);
    return true;
  }

  bool BeginStep() {
    MutexLock lock(mutex_);
    if (paused_ || stopped_) return false;
    in_step_ = true;
    return true;
  }

  void EndStep() {
    MutexLock lock(mutex_);
    in_step_ = false;
    changed_.NotifyAll();
  }

  void Step(const dataset::PreparedBatch& batch) {
    const Time begun = clock_.Now();
    const Duration blocked_before = store_.blocked();
    const double learning_rate = LearningRate();

    algorithm_.ReadWeights(weights_);
    model_.LoadWeights(weights_);
    const size_t elements = batch.samples * dataset_.shape().elements();
    const nn::StepResult result =
        model_.ForwardBackward({.images = std::span(batch.images).first(elements),
                                .labels = std::span(batch.labels).first(batch.samples)},
                               gradient_, statistics_);
    if (!std::isfinite(result.loss) || !AllFinite(gradient_) || !AllFinite(statistics_)) {
      Skip(batch, learning_rate);
      return;
    }
    skipped_in_a_row_ = 0;
    if (options_.max_gradient_norm) {
      optimizer::ClipToNorm(gradient_, *options_.max_gradient_norm);
    }
    const uint64_t staleness = algorithm_.OnGradient(gradient_, statistics_, learning_rate);

    losses_.push_back(result.loss);
    if (losses_.size() > kLossWindow) losses_.pop_front();
    double loss = 0;
    for (double one : losses_) loss += one / static_cast<double>(losses_.size());
    const double seconds = ToSeconds(clock_.Now() - begun);
    rate_samples_ = kRateMemory * rate_samples_ + static_cast<double>(batch.samples);
    rate_seconds_ = kRateMemory * rate_seconds_ + seconds;

    MutexLock lock(mutex_);
    ++counts_.steps;
    CountSamplesLocked(batch);
    counts_.loss = loss;
    counts_.learning_rate = learning_rate;
    counts_.samples_per_second = rate_samples_ / rate_seconds_;
    counts_.trainer_seconds += seconds;
    counts_.blocked_seconds += ToSeconds(store_.blocked() - blocked_before);
    counts_.staleness_sum += static_cast<double>(staleness);
    ++counts_.staleness[StalenessBucket(staleness)];
    ++counts_.step_seconds[api::ExchangeBucket(seconds)];
  }

  // By where the job is, not by where its batch lies in the data: leases of different data epochs
  // are out at the same time.
  double LearningRate() {
    MutexLock lock(mutex_);
    const double since_told = static_cast<double>(leased_since_told_) * members_ /
                              static_cast<double>(dataset_.size(dataset::Split::kTrain));
    data_epochs_ = std::max(data_epochs_, data_epochs_told_ + since_told);
    return schedule_.NextRate(data_epochs_, static_cast<int>(members_));
  }

  // The weights stay as they are: one bad batch, or one bad exchange that the next ones thin out,
  // must not end a job; bad weights of its own do.
  void Skip(const dataset::PreparedBatch& batch, double learning_rate) {
    {
      MutexLock lock(mutex_);
      ++counts_.skipped_steps;
      CountSamplesLocked(batch);
      if (++skipped_in_a_row_ != kMaxSkippedInARow) return;
      paused_ = true;
    }
    options_.on_failure(absl::InternalError(fmt::format(
        "loss or gradient not finite in {} steps in a row, at learning rate {:.4g}; training has "
        "diverged; a lower learningRate, maxGradientNorm, learningRateScaling Sqrt or a longer "
        "warm-up may help",
        kMaxSkippedInARow, learning_rate)));
  }

  void CountSamplesLocked(const dataset::PreparedBatch& batch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    counts_.samples += batch.samples;
    (batch.draw.leased() ? leased_since_told_ : counts_.unleased_samples) += batch.samples;
  }

  Pass ThisPass() { return {.batch_size = options_.batch_size, .stop = thread_.get_stop_token()}; }

  const TrainerOptions options_;
  const RealClock clock_;
  nn::Model& model_;
  const dataset::Dataset& dataset_;
  store::ParameterStore& store_;
  LeaseQueue& leases_;

  // Of the trainer thread.
  algorithm::AdPsgd algorithm_;
  optimizer::Schedule schedule_;
  std::vector<float> weights_;
  std::vector<float> gradient_;
  std::vector<float> statistics_;
  std::deque<double> losses_;
  double rate_samples_ = 0;
  double rate_seconds_ = 0;
  int skipped_in_a_row_ = 0;

  dataset::Prefetch prefetch_;
  std::jthread thread_;

  mutable Mutex mutex_;  // before the prefetch's own
  CondVar changed_;
  bool paused_ ABSL_GUARDED_BY(mutex_) = true;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  bool in_step_ ABSL_GUARDED_BY(mutex_) = false;
  uint32_t members_ ABSL_GUARDED_BY(mutex_) = 1;
  double data_epochs_told_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t leased_since_told_ ABSL_GUARDED_BY(mutex_) = 0;  // samples
  double data_epochs_ ABSL_GUARDED_BY(mutex_) = 0;         // as last reckoned
  std::deque<std::function<void(bool cancelled)>> jobs_ ABSL_GUARDED_BY(mutex_);
  TrainerCounts counts_ ABSL_GUARDED_BY(mutex_);
};

Trainer::Trainer(TrainerOptions options, nn::Model& model, const dataset::Dataset& dataset,
                 store::ParameterStore& store, LeaseQueue& leases)
    : loop_(std::make_unique<Loop>(std::move(options), model, dataset, store, leases)) {}

Trainer::~Trainer() { Stop(); }

void Trainer::Start() { loop_->Start(); }
void Trainer::Stop() { loop_->Stop(); }
void Trainer::Pause() { loop_->Pause(); }
void Trainer::Resume() { loop_->Resume(); }
void Trainer::SetProgress(uint32_t members, double data_epochs) {
  loop_->SetProgress(members, data_epochs);
}
TrainerCounts Trainer::counts() const { return loop_->counts(); }

void Trainer::Evaluate(std::function<void(absl::StatusOr<Evaluation>)> done) {
  loop_->Answer<Evaluation>([loop = loop_.get()] { return loop->Evaluate(); }, std::move(done));
}

void Trainer::Finalize(std::function<void(absl::StatusOr<Finalized>)> done) {
  loop_->Answer<Finalized>([loop = loop_.get()] { return loop->Finalize(); }, std::move(done));
}

void Trainer::EvaluateSlice(std::shared_ptr<const store::ParameterStore> weights,
                            const Slice& slice,
                            std::function<void(absl::StatusOr<SliceSums>)> done) {
  loop_->Answer<SliceSums>([loop = loop_.get(), weights = std::move(weights),
                            slice] { return loop->EvaluateSlice(weights.get(), slice); },
                           std::move(done));
}

}  // namespace grapevine::train
