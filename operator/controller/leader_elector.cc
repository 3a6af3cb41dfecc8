#include "operator/controller/leader_elector.h"

#include <utility>

#include "fmt/format.h"
#include "operator/api/object_meta.h"
#include "operator/base/check.h"
#include "operator/base/log.h"

namespace grapevine::controller {
namespace {

using nlohmann::json;

const Resource kLeases{"coordination.k8s.io", "v1", "leases"};
// After the lease has run out, until a leader that still does not know counts as hung.
constexpr Duration kHung = 20s;

}  // namespace

LeaderElector::LeaderElector(ApiClient* client, const Clock* clock, LeaderElectorOptions options)
    : client_(client), clock_(clock), options_(std::move(options)), state_(options_.leader) {}

LeaderElector::~LeaderElector() { Stop(); }

void LeaderElector::Start() {
  GRAPEVINE_CHECK(!thread_.joinable());
  thread_ = std::thread([this] { Run(); });
}

void LeaderElector::Stop() {
  {
    MutexLock lock(mutex_);
    stopped_ = true;
    changed_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

bool LeaderElector::WaitForLead(Time deadline) {
  MutexLock lock(mutex_);
  while (!leading_ && !stopped_) {
    if (!changed_.WaitUntil(mutex_, deadline)) break;
  }
  return leading_;
}

bool LeaderElector::leading() const {
  MutexLock lock(mutex_);
  return leading_ && !OverdueLocked();
}

bool LeaderElector::lost() const {
  MutexLock lock(mutex_);
  return lost_ || (leading_ && OverdueLocked());
}

// Also while the thread itself waits for an answer that does not come.
bool LeaderElector::OverdueLocked() const {
  return clock_->Now() - renewed_at_ >= options_.leader.renew_deadline;
}

absl::Status LeaderElector::Health() const {
  MutexLock lock(mutex_);
  if (!leading_ || clock_->Now() - renewed_at_ < options_.leader.length + kHung) {
    return absl::OkStatus();
  }
  return absl::UnavailableError("the lease ran out and its leader has not noticed");
}

void LeaderElector::Run() {
  using Step = LeaderState::Step;
  while (true) {
    {
      MutexLock lock(mutex_);
      if (stopped_) break;
    }
    const LeaderState::Next next = state_.NextStep(clock_->Now());
    switch (next.step) {
      case Step::kWait:
        Wait(next.until);
        break;
      case Step::kRead:
        Read();
        break;
      case Step::kCreate:
      case Step::kTake:
      case Step::kRenew:
        Write(next.step);
        break;
      case Step::kLost: {
        LogError("{} leads no more: the lease {}/{} could not be renewed or is another's",
                 options_.leader.identity, options_.name_space, options_.name);
        MutexLock lock(mutex_);
        leading_ = false;
        lost_ = true;
        changed_.NotifyAll();
        return;
      }
    }
  }
  if (state_.leading()) Release();
}

void LeaderElector::Read() {
  auto lease = client_->Get(kLeases, options_.name_space, options_.name);
  const Time now = clock_->Now();
  if (lease.ok()) {
    state_.OnRead(ReadLease(*lease), now);
    last_ = *std::move(lease);
  } else if (absl::IsNotFound(lease.status())) {
    state_.OnRead(std::nullopt, now);
  } else {
    LogWarn("the lease {}/{} cannot be read: {}", options_.name_space, options_.name,
            std::string(lease.status().message()));
    state_.OnFailed(now);
  }
}

void LeaderElector::Write(LeaderState::Step step) {
  const LeaseRecord ours = state_.Ours();
  const Time began = clock_->Now();
  if (step != LeaderState::Step::kRenew) acquired_at_ = api::FormatMicroTime(options_.wall());
  auto written = Put(ours, step == LeaderState::Step::kCreate);
  if (!written.ok()) {
    const absl::Status& status = written.status();
    if (absl::IsAborted(status) || absl::IsAlreadyExists(status) || absl::IsNotFound(status)) {
      state_.OnConflict();
    } else {
      LogWarn("the lease {}/{} cannot be written: {}", options_.name_space, options_.name,
              std::string(status.message()));
      state_.OnFailed(clock_->Now());
    }
    return;
  }
  state_.OnWritten(ReadLease(*written), began);
  last_ = *std::move(written);
  MutexLock lock(mutex_);
  renewed_at_ = began;
  if (leading_) return;
  LogInfo("{} leads, by the lease {}/{}", options_.leader.identity, options_.name_space,
          options_.name);
  leading_ = true;
  changed_.NotifyAll();
}

absl::StatusOr<json> LeaderElector::Put(const LeaseRecord& record, bool create) {
  json lease = create ? json::object() : last_;
  lease["apiVersion"] = "coordination.k8s.io/v1";
  lease["kind"] = "Lease";
  lease["metadata"]["namespace"] = options_.name_space;
  lease["metadata"]["name"] = options_.name;
  json& spec = lease["spec"];
  spec["holderIdentity"] = record.holder;
  spec["leaseDurationSeconds"] = static_cast<int>(ToSeconds(record.length));
  spec["leaseTransitions"] = record.transitions;
  spec["acquireTime"] = acquired_at_;
  spec["renewTime"] = api::FormatMicroTime(options_.wall());
  return create ? client_->Create(kLeases, lease) : client_->Update(kLeases, lease);
}

void LeaderElector::Wait(Time until) {
  MutexLock lock(mutex_);
  while (!stopped_ && clock_->Now() < until) changed_.WaitUntil(mutex_, until);
}

void LeaderElector::Release() {
  const absl::Status status = Put(state_.Released(), false).status();
  if (!status.ok()) {
    LogWarn("the lease {}/{} cannot be given back: {}", options_.name_space, options_.name,
            std::string(status.message()));
  }
  MutexLock lock(mutex_);
  leading_ = false;
}

}  // namespace grapevine::controller
