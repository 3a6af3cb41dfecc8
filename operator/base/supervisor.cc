#include "operator/base/supervisor.h"

#include <utility>

#include "fmt/format.h"
#include "operator/base/check.h"

namespace grapevine {

Supervisor::Supervisor(std::vector<Part> parts) : parts_(std::move(parts)) {
  for (const Part& part : parts_) {
    GRAPEVINE_CHECK(!part.name.empty() && part.start && part.stop);
  }
}

Supervisor::~Supervisor() { Stop().IgnoreError(); }

absl::Status Supervisor::Start() {
  GRAPEVINE_CHECK(running_ == 0);
  for (const Part& part : parts_) {
    if (const absl::Status started = part.start(); !started.ok()) {
      Fail(part.name, started);
      return Stop();
    }
    ++running_;
  }
  return absl::OkStatus();
}

absl::Status Supervisor::Stop() {
  while (running_ > 0) {
    const Part& part = parts_[--running_];
    if (const absl::Status stopped = part.stop(); !stopped.ok()) Fail(part.name, stopped);
  }
  return error();
}

void Supervisor::Fail(std::string_view part, const absl::Status& status) {
  GRAPEVINE_CHECK(!status.ok());
  MutexLock lock(mutex_);
  if (!error_.ok()) return;
  // The distribution's absl::string_view is a type of its own, which fmt does not know.
  const std::string why(status.message());
  error_ = absl::Status(status.code(), fmt::format("{}: {}", part, why));
  failed_.NotifyAll();
}

absl::Status Supervisor::error() const {
  MutexLock lock(mutex_);
  return error_;
}

absl::Status Supervisor::WaitUntil(Time deadline) {
  MutexLock lock(mutex_);
  while (error_.ok() && failed_.WaitUntil(mutex_, deadline)) {
  }
  return error_;
}

}  // namespace grapevine
