#include "operator/local/process_kubelet.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/status/statusor.h"
#include "fmt/format.h"
#include "operator/base/check.h"
#include "operator/base/log.h"
#include "operator/controller/object_store.h"
#include "operator/local/pod_process.h"

namespace grapevine::local {

using controller::KeyOf;
using controller::Object;
using controller::ObjectChange;
using controller::Request;
using controller::Resource;
using controller::UidOf;
using nlohmann::json;

namespace {

constexpr Duration kPollWithoutExitFd = 50ms;
constexpr int kStatusAttempts = 8;

const Resource& Pods() {
  static const Resource kPods{"", "v1", "pods"};
  return kPods;
}

api::WallTime Now() { return std::chrono::system_clock::now(); }

std::vector<std::string> OwnEnvironment() {
  std::vector<std::string> result;
  for (char** each = environ; *each != nullptr; ++each) result.emplace_back(*each);
  return result;
}

bool IsBeingDeleted(const json& pod) { return pod.at("metadata").contains("deletionTimestamp"); }

std::string PhaseOf(const json& pod) {
  const json phase = pod.value("/status/phase"_json_pointer, json());
  return phase.is_string() ? phase.get<std::string>() : "Pending";
}

absl::StatusOr<int> OpenLog(const std::string& directory, const std::string& pod) {
  const std::string path = fmt::format("{}/{}.log", directory, pod);
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) return absl::InternalError(fmt::format("{}: {}", path, std::strerror(errno)));
  return fd;
}

// As much of a log's end as a kubelet takes, with everything that is no plain text replaced. Empty
// when there is no log.
std::string EndOfLog(const std::string& directory, const std::string& pod) {
  constexpr std::streamoff kMost = 2048;
  std::ifstream log(fmt::format("{}/{}.log", directory, pod), std::ios::binary | std::ios::ate);
  if (directory.empty() || !log) return "";
  const std::streamoff size = log.tellg();
  log.seekg(std::max<std::streamoff>(0, size - kMost));
  std::string text(std::istreambuf_iterator<char>(log), {});
  for (char& c : text) {
    if (c != '\n' && (c < ' ' || c > '~')) c = '?';
  }
  return text;
}

}  // namespace

ProcessKubelet::ProcessKubelet(controller::ApiClient* client, const Clock* clock,
                               ProcessKubeletOptions options)
    : client_(client),
      clock_(clock),
      options_(std::move(options)),
      wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      pods_(client, clock, {.resource = Pods(), .name_spaces = {options_.name_space}}) {
  GRAPEVINE_CHECK(wake_fd_ >= 0);
  pods_.Subscribe([this](const ObjectChange& change) {
    MarkDirty(KeyOf(change.now != nullptr ? *change.now : *change.before));
  });
}

ProcessKubelet::~ProcessKubelet() {
  Stop();
  close(wake_fd_);
}

void ProcessKubelet::Start() {
  GRAPEVINE_CHECK(!thread_.joinable());
  thread_ = std::thread([this] { Run(); });
  pods_.Start();
}

void ProcessKubelet::Stop() {
  pods_.Stop();
  {
    MutexLock lock(mutex_);
    stopped_ = true;
  }
  Wake();
  if (thread_.joinable()) thread_.join();
}

absl::Status ProcessKubelet::Signal(const Request& pod, int signal) {
  MutexLock lock(mutex_);
  const auto found = processes_.find(pod);
  if (found == processes_.end() || !found->second.child) {
    return absl::NotFoundError(fmt::format("no process of pod {} runs", pod.name));
  }
  found->second.child->Signal(signal);
  return absl::OkStatus();
}

std::optional<pid_t> ProcessKubelet::PidOf(const Request& pod) const {
  MutexLock lock(mutex_);
  const auto found = processes_.find(pod);
  if (found == processes_.end() || !found->second.child) return std::nullopt;
  return found->second.child->pid();
}

std::vector<Request> ProcessKubelet::Running() const {
  MutexLock lock(mutex_);
  std::vector<Request> result;
  for (const auto& [key, process] : processes_) {
    if (process.child) result.push_back(key);
  }
  return result;
}

void ProcessKubelet::MarkDirty(const Request& pod) {
  {
    MutexLock lock(mutex_);
    dirty_.insert(pod);
  }
  Wake();
}

void ProcessKubelet::Wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_fd_, &one, sizeof one);
}

void ProcessKubelet::Run() {
  while (true) {
    std::set<Request> dirty;
    {
      MutexLock lock(mutex_);
      if (stopped_) {
        processes_.clear();
        return;
      }
      dirty.swap(dirty_);
    }
    for (const Request& key : dirty) Sync(key);
    Reap();
    KillOverdue();
    WaitForWork();
  }
}

void ProcessKubelet::Sync(const Request& key) {
  const Object pod = pods_.store().Get(key);
  bool known = false;
  bool runs = false;
  {
    MutexLock lock(mutex_);
    const auto found = processes_.find(key);
    if (found != processes_.end()) {
      Process& process = found->second;
      known = true;
      runs = process.child.has_value();
      if (pod == nullptr || UidOf(*pod) != process.uid) {
        // Its pod is gone already, so nobody waits for an orderly end.
        if (runs) {
          process.child->Signal(SIGKILL);
          return;
        }
        processes_.erase(found);
        known = false;
      }
    }
  }
  if (pod == nullptr || (!known && !IsMine(*pod))) return;
  if (!known && !IsBeingDeleted(*pod)) {
    if (PhaseOf(*pod) == "Pending") StartPod(*pod);
  } else if (IsBeingDeleted(*pod)) {
    runs ? Terminate(key, *pod) : Remove(*pod);
  }
}

bool ProcessKubelet::IsMine(const json& pod) const {
  const json node = pod.value("/spec/nodeName"_json_pointer, json());
  const bool bound = node.is_string() && node != "";
  return bound ? node == options_.node_name : options_.binds;
}

bool ProcessKubelet::Claim(const json& pod) {
  const json node = pod.value("/spec/nodeName"_json_pointer, json());
  if (node.is_string() && node != "") return true;
  const Request key = KeyOf(pod);
  const json binding = {
      {"apiVersion", "v1"},
      {"kind", "Binding"},
      {"metadata", {{"name", key.name}, {"namespace", key.name_space}, {"uid", UidOf(pod)}}},
      {"target", {{"apiVersion", "v1"}, {"kind", "Node"}, {"name", options_.node_name}}}};
  const absl::Status status =
      client_->Create({"", "v1", fmt::format("pods/{}/binding", key.name)}, binding).status();
  // After a conflict, or when it is gone, news of it is on its way here.
  if (!status.ok() && status.code() != absl::StatusCode::kAborted &&
      status.code() != absl::StatusCode::kNotFound) {
    LogWarn("cannot take pod {}: {}", key.name, status.ToString());
  }
  return status.ok();
}

void ProcessKubelet::StartPod(const json& pod) {
  // From here on a deletion waits for this kubelet.
  if (!Claim(pod)) return;
  const Request key = KeyOf(pod);
  Process process{.uid = UidOf(pod)};
  absl::StatusOr<Command> command = CommandOf(pod, OwnEnvironment());
  absl::Status failure = command.status();
  int log_fd = -1;
  if (failure.ok() && options_.log_directory.empty()) {
    absl::StatusOr<OutputLines> lines =
        OutputLines::Create(fmt::format("[{}] ", key.name), STDERR_FILENO);
    failure = lines.status();
    if (failure.ok()) process.output.emplace(*std::move(lines));
  } else if (failure.ok()) {
    absl::StatusOr<int> opened = OpenLog(options_.log_directory, key.name);
    failure = opened.status();
    if (failure.ok()) log_fd = *opened;
  }
  if (failure.ok()) {
    absl::StatusOr<ChildProcess> child =
        ChildProcess::Start(*command, process.output ? process.output->write_fd() : log_fd);
    failure = child.status();
    if (failure.ok()) process.child.emplace(*std::move(child));
  }
  if (log_fd >= 0) close(log_fd);
  if (process.output) process.output->CloseWriteEnd();
  {
    MutexLock lock(mutex_);
    processes_.emplace(key, std::move(process));
  }
  if (!failure.ok()) LogError("pod {} cannot start: {}", key.name, failure.ToString());
  WriteStatus(key, UidOf(pod), [&](const json& now) {
    return failure.ok() ? RunningStatus(now, Now()) : NotStartedStatus(now, failure, Now());
  });
}

void ProcessKubelet::Terminate(const Request& key, const json& pod) {
  const json grace = pod.value("/metadata/deletionGracePeriodSeconds"_json_pointer, json(0));
  const Time deadline = clock_->Now() + FromSeconds(grace.is_number() ? grace.get<double>() : 0.0);
  MutexLock lock(mutex_);
  Process& process = processes_.at(key);
  if (!process.kill_at) process.child->Terminate();
  process.kill_at = std::min(process.kill_at.value_or(deadline), deadline);
}

void ProcessKubelet::Remove(const json& pod) {
  const Request key = KeyOf(pod);
  const absl::Status status = client_->Delete(Pods(), key.name_space, key.name,
                                              {.uid = UidOf(pod), .grace_period_seconds = 0});
  if (!status.ok() && status.code() != absl::StatusCode::kNotFound) {
    LogWarn("cannot remove pod {}: {}", key.name, status.ToString());
  }
}

void ProcessKubelet::Reap() {
  struct Exited {
    Request key;
    std::string uid;
    ExitStatus exit;
  };
  std::vector<Exited> all;
  {
    MutexLock lock(mutex_);
    for (auto& [key, process] : processes_) {
      if (process.output) process.output->PassOn();
      if (!process.child) continue;
      const std::optional<ExitStatus> exit = process.child->TryWait();
      if (!exit) continue;
      process.child.reset();
      if (process.output) process.output->Finish();
      process.output.reset();
      all.push_back({key, process.uid, *exit});
    }
  }
  for (const Exited& each : all) {
    const std::string last_output = EndOfLog(options_.log_directory, each.key.name);
    WriteStatus(each.key, each.uid,
                [&](const json& now) { return ExitedStatus(now, each.exit, last_output, Now()); });
    MarkDirty(each.key);
  }
}

void ProcessKubelet::KillOverdue() {
  MutexLock lock(mutex_);
  for (auto& [key, process] : processes_) {
    if (!process.child || !process.kill_at || process.killed) continue;
    if (clock_->Now() < *process.kill_at) continue;
    process.child->Signal(SIGKILL);
    process.killed = true;
  }
}

void ProcessKubelet::WaitForWork() {
  std::vector<pollfd> fds{{wake_fd_, POLLIN, 0}};
  std::optional<Time> until;
  const auto wake_at = [&](Time time) { until = std::min(until.value_or(time), time); };
  {
    MutexLock lock(mutex_);
    if (stopped_ || !dirty_.empty()) return;
    for (const auto& [key, process] : processes_) {
      if (process.output && process.output->read_fd() >= 0) {
        fds.push_back({process.output->read_fd(), POLLIN, 0});
      }
      if (!process.child) continue;
      if (process.child->exit_fd() >= 0) {
        fds.push_back({process.child->exit_fd(), POLLIN, 0});
      } else {
        wake_at(clock_->Now() + kPollWithoutExitFd);
      }
      if (process.kill_at && !process.killed) wake_at(*process.kill_at);
    }
  }
  int timeout_ms = -1;
  if (until) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*until - clock_->Now());
    timeout_ms = static_cast<int>(std::clamp<int64_t>(left.count(), 0, 3'600'000));
  }
  poll(fds.data(), fds.size(), timeout_ms);
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = read(wake_fd_, &count, sizeof count);
}

template <typename MakeStatus>
void ProcessKubelet::WriteStatus(const Request& key, const std::string& uid,
                                 MakeStatus make_status) {
  for (int attempt = 0; attempt < kStatusAttempts; ++attempt) {
    absl::StatusOr<json> now = client_->Get(Pods(), key.name_space, key.name);
    if (!now.ok() || UidOf(*now) != uid) return;  // force-deleted
    (*now)["status"] = make_status(*now);
    const absl::Status status = client_->UpdateStatus(Pods(), *now).status();
    if (status.ok()) return;
    if (status.code() != absl::StatusCode::kAborted) {
      LogWarn("cannot report pod {}: {}", key.name, status.ToString());
      return;
    }
  }
}

}  // namespace grapevine::local
