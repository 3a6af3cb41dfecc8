#include "operator/console/faults.h"

#include <signal.h>

#include <algorithm>

namespace grapevine::console {
namespace {

constexpr Duration kPeriod = 100ms;
constexpr Duration kIdle = 3600s;

}  // namespace

Faults::Faults(Send send) : send_(std::move(send)), thread_([this] { Run(); }) {}

Faults::~Faults() {
  {
    MutexLock lock(mutex_);
    ending_ = true;
  }
  changed_.NotifyAll();
  thread_.join();
  MutexLock lock(mutex_);
  for (const auto& [pod, victim] : victims_) {
    if (victim.stopped) send_(pod, SIGCONT).IgnoreError();
  }
}

absl::Status Faults::Kill(const std::string& pod) {
  MutexLock lock(mutex_);
  victims_.erase(pod);
  return send_(pod, SIGKILL);
}

absl::Status Faults::Slow(const std::string& pod, double factor) {
  MutexLock lock(mutex_);
  victims_[pod].factor = factor;
  changed_.NotifyAll();
  return absl::OkStatus();
}

absl::Status Faults::Pause(const std::string& pod, Duration length) {
  MutexLock lock(mutex_);
  Victim& victim = victims_[pod];
  const Time now = RealClock().Now();
  victim.paused_until = std::max(victim.paused_until, now + length);
  victim.stopped = true;
  changed_.NotifyAll();
  return send_(pod, SIGSTOP);
}

Faults::State Faults::StateOf(const std::string& pod) const {
  MutexLock lock(mutex_);
  const auto found = victims_.find(pod);
  if (found == victims_.end()) return State::kRunning;
  if (found->second.paused_until > RealClock().Now()) return State::kPaused;
  return found->second.factor > 1 ? State::kSlowed : State::kRunning;
}

void Faults::Run() {
  const RealClock clock;
  MutexLock lock(mutex_);
  while (!ending_) {
    const Time next = SendDueLocked(clock.Now());
    changed_.WaitUntil(mutex_, next);
  }
}

Time Faults::SendDueLocked(Time now) {
  Time next = now + kIdle;
  const Duration phase = now.time_since_epoch() % kPeriod;
  for (auto it = victims_.begin(); it != victims_.end();) {
    Victim& victim = it->second;
    const Duration runs = FromSeconds(ToSeconds(kPeriod) / victim.factor);
    bool stop = false;
    if (now < victim.paused_until) {
      stop = true;
      next = std::min(next, victim.paused_until);
    } else if (victim.factor > 1) {
      stop = phase >= runs;
      next = std::min(next, now - phase + (stop ? kPeriod : runs));
    }
    absl::Status sent;
    if (stop != victim.stopped) sent = send_(it->first, stop ? SIGSTOP : SIGCONT);
    victim.stopped = stop;
    const bool over = !stop && victim.factor <= 1;
    it = over || !sent.ok() ? victims_.erase(it) : std::next(it);
  }
  return next;
}

}  // namespace grapevine::console
