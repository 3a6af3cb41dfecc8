#include "operator/controller/controller.h"

#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "operator/base/check.h"
#include "operator/base/log.h"

namespace grapevine::controller {
namespace {

// Without payloads, which are bytes.
std::string Words(const absl::Status& status) {
  return status.ToString(absl::StatusToStringMode::kWithNoExtraData);
}

bool IsTerminal(const absl::Status& status) {
  return status.code() == absl::StatusCode::kInvalidArgument ||
         status.code() == absl::StatusCode::kFailedPrecondition;
}

}  // namespace

Controller::Controller(Reconciler* reconciler, const Clock* clock, Probe* probe,
                       ControllerOptions options)
    : reconciler_(reconciler),
      clock_(clock),
      probe_(probe),
      options_(std::move(options)),
      queue_(clock, options_.rate_limiter) {
  GRAPEVINE_CHECK(options_.threads >= 1);
}

Controller::~Controller() { Stop(); }

void Controller::Enqueue(const Request& request) {
  queue_.Add(request);
  probe_->OnAdded(queue_.waiting());
}

void Controller::Start() {
  GRAPEVINE_CHECK(threads_.empty());
  for (int i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { Work(); });
}

void Controller::Stop() {
  queue_.ShutDown();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Controller::Work() {
  while (const std::optional<Taken> taken = queue_.Take()) {
    probe_->OnReconcileStarted(taken->request, taken->waited, queue_.waiting());
    const Time started = clock_->Now();
    const absl::StatusOr<Result> result = reconciler_->Reconcile(taken->request);
    Settle(taken->request, result, clock_->Now() - started);
    queue_.Done(taken->request);
  }
}

void Controller::Settle(const Request& request, const absl::StatusOr<Result>& result,
                        Duration took) {
  if (result.ok()) {
    queue_.Forget(request);
    if (!result->requeue_after) {
      probe_->OnReconciled(request, Probe::Outcome::kSuccess, took);
      return;
    }
    queue_.AddAfter(request, *result->requeue_after);
    probe_->OnReconciled(request, Probe::Outcome::kRequeueAfter, took);
    return;
  }
  if (IsTerminal(result.status())) {
    LogError("{}: {}/{}: {}", options_.name, request.name_space, request.name,
             Words(result.status()));
    queue_.Forget(request);
    probe_->OnReconciled(request, Probe::Outcome::kTerminalError, took);
    return;
  }
  // A conflict only says that the cache was behind, which is nobody's trouble.
  const bool conflict = result.status().code() == absl::StatusCode::kAborted;
  LogAt(conflict ? LogLevel::kDebug : LogLevel::kWarn, "{}: {}/{}: {}; tries again", options_.name,
        request.name_space, request.name, Words(result.status()));
  queue_.AddRateLimited(request);
  probe_->OnRetried();
  probe_->OnReconciled(request, Probe::Outcome::kError, took);
}

}  // namespace grapevine::controller
