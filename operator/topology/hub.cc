#include "operator/topology/hub.h"

#include <random>
#include <utility>

#include "operator/base/log.h"
#include "operator/topology/job.h"

namespace grapevine::topology {
namespace {

// A tick that is later than this was held up by the machine, not by a worker.
constexpr Duration kOwnPause = 1s;
// A hub makes fewer than 2^30 requests, and begins at a random multiple of that.
constexpr int kRequestBits = 30;

}  // namespace

struct Hub::Session {
  std::shared_ptr<Sink> sink;
  JobKey job;
  MemberId member = 0;  // 0 until it has registered
};

Hub::Hub(const Clock& clock, std::function<void(const JobKey&)> on_change)
    : clock_(clock),
      first_request_((uint64_t{std::random_device()()} << kRequestBits) + 1),
      on_change_(std::move(on_change)) {}

Hub::~Hub() = default;

Job* Hub::FindJobLocked(const JobKey& key) {
  auto it = jobs_.find(key);
  return it == jobs_.end() ? nullptr : it->second.get();
}

SessionId Hub::Connect(std::shared_ptr<Sink> sink) {
  MutexLock lock(mutex_);
  const SessionId id = next_session_++;
  sessions_[id].sink = std::move(sink);
  return id;
}

void Hub::RegisterLocked(Session& session, const v1::Register& registration, Time now) {
  session.job = {registration.namespace_(), registration.job()};
  Job* job = FindJobLocked(session.job);
  if (job == nullptr) {
    // Not refused: after a restart of the operator its worker may be faster than its resource.
    LogInfo("pod {} registered for unknown job {}/{} and is told to come again", registration.pod(),
            session.job.name_space, session.job.name);
    session.sink->Close();
    return;
  }
  const absl::StatusOr<MemberId> member = job->OnRegister(registration, session.sink, now);
  if (member.ok()) {
    session.member = *member;
    return;
  }
  LogWarn("pod {} is refused: {}", registration.pod(), member.status().ToString());
  session.sink->Close();
}

void Hub::OnMessage(SessionId id, const WorkerMessage& message) {
  std::optional<JobKey> changed;
  {
    MutexLock lock(mutex_);
    const Time now = clock_.Now();
    auto it = sessions_.find(id);
    if (it == sessions_.end()) return;
    Session& session = it->second;
    if (message.kind_case() == WorkerMessage::kRegister && session.member == 0) {
      RegisterLocked(session, message.register_(), now);
    } else {
      Job* job = session.member == 0 ? nullptr : FindJobLocked(session.job);
      absl::StatusOr<bool> news = job == nullptr
                                      ? absl::FailedPreconditionError("it has not registered")
                                      : job->OnMessage(session.member, message, now);
      if (!news.ok()) {
        LogWarn("the stream of member {} is closed: {}", session.member, news.status().ToString());
        session.sink->Close();
      } else if (*news) {
        changed = session.job;
      }
    }
  }
  if (changed) on_change_(*changed);
}

void Hub::OnDisconnect(SessionId id) {
  std::optional<JobKey> changed;
  {
    MutexLock lock(mutex_);
    auto it = sessions_.find(id);
    if (it == sessions_.end()) return;
    Job* job = FindJobLocked(it->second.job);
    if (job != nullptr && it->second.member != 0 &&
        job->OnBroken(it->second.member, it->second.sink.get(), clock_.Now())) {
      changed = it->second.job;
    }
    sessions_.erase(it);
  }
  if (changed) on_change_(*changed);
}

bool Hub::Knows(const JobKey& key, const std::string& uid) const {
  MutexLock lock(mutex_);
  auto it = jobs_.find(key);
  return it != jobs_.end() && it->second->config().uid == uid;
}

void Hub::EnsureJob(const JobKey& key, const JobConfig& config, const JobRecord& before) {
  MutexLock lock(mutex_);
  std::unique_ptr<Job>& job = jobs_[key];
  if (job && job->config().uid == config.uid) {
    job->SetConfig(config);
    return;
  }
  if (job) job->StopEveryone("the job was replaced by a new one of the same name");
  job = std::make_unique<Job>(config, before, first_request_, clock_.Now());
}

void Hub::Forget(const JobKey& key, const std::string& reason) {
  MutexLock lock(mutex_);
  if (Job* job = FindJobLocked(key)) job->StopEveryone(reason);
  jobs_.erase(key);
}

Snapshot Hub::Observe(const JobKey& key) {
  MutexLock lock(mutex_);
  ForgiveOwnPauseLocked(clock_.Now());
  if (Job* job = FindJobLocked(key)) return job->Observe();
  Snapshot none;
  none.graph = std::make_shared<const graph::Graph>();
  return none;
}

uint64_t Hub::Apply(const JobKey& key, const Directives& directives) {
  MutexLock lock(mutex_);
  Job* job = FindJobLocked(key);
  return job == nullptr ? 0 : job->Apply(directives, clock_);
}

JobRecord Hub::Record(const JobKey& key) {
  MutexLock lock(mutex_);
  Job* job = FindJobLocked(key);
  return job == nullptr ? JobRecord() : job->Record();
}

bool Hub::NoteRecorded(const JobKey& key) {
  MutexLock lock(mutex_);
  Job* job = FindJobLocked(key);
  return job != nullptr && job->NoteRecorded();
}

JobStats Hub::Stats(const JobKey& key) const {
  MutexLock lock(mutex_);
  auto it = jobs_.find(key);
  return it == jobs_.end() ? JobStats() : it->second->Stats();
}

void Hub::Tick() {
  MutexLock lock(mutex_);
  const Time now = clock_.Now();
  ForgiveOwnPauseLocked(now);
  last_tick_ = now;
  for (auto& [key, job] : jobs_) job->Tick(now);
}

void Hub::ForgiveOwnPauseLocked(Time now) {
  if (last_tick_ == Time{} || now - last_tick_ < kOwnPause) return;
  const Duration pause = now - last_tick_;
  LogWarn("the hub was held up for {:.1f} s and calls nobody late for it", ToSeconds(pause));
  for (auto& [key, job] : jobs_) job->Forgive(pause);
  last_tick_ = now;
}

}  // namespace grapevine::topology
