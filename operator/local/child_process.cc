#include "operator/local/child_process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "fmt/format.h"
#include "operator/base/check.h"

namespace grapevine::local {
namespace {

// In the child, where everything above is closed.
constexpr int kErrorPipe = 3;

absl::Status ToStatus(int error, std::string_view what) {
  const std::string text = fmt::format("{}: {}", what, std::strerror(error));
  if (error == ENOENT || error == ENOTDIR) return absl::NotFoundError(text);
  if (error == EACCES || error == EPERM) return absl::PermissionDeniedError(text);
  return absl::InternalError(text);
}

// The search in PATH, which may allocate, so it cannot be left to the child.
std::string FindProgram(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* const path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path;
  while (!rest.empty()) {
    const size_t colon = rest.find(':');
    const std::string candidate = fmt::format("{}/{}", rest.substr(0, colon), name);
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
    rest = colon == std::string_view::npos ? "" : rest.substr(colon + 1);
  }
  return name;
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  result.reserve(strings.size() + 1);
  for (const std::string& each : strings) result.push_back(const_cast<char*>(each.c_str()));
  result.push_back(nullptr);
  return result;
}

// All that the child needs, made before the fork: after it, memory and locks of other threads may
// be in any state, so only async-signal-safe calls are allowed.
struct Prepared {
  std::string program;
  std::vector<char*> arguments;
  std::vector<char*> environment;
  const char* working_directory;
  int input;
  int output;
  int error_pipe;
  pid_t parent;
};

[[noreturn]] void RunChild(const Prepared& prepared) {
  const auto fail = [](int pipe) {
    const int error = errno;
    [[maybe_unused]] const ssize_t written = write(pipe, &error, sizeof error);
    _exit(127);
  };
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The parent may have died before the line above took effect.
  if (getppid() != prepared.parent) _exit(127);
  // Descriptors above the standard ones, out of the way of the dup2 below.
  const int error_pipe = fcntl(prepared.error_pipe, F_DUPFD, kErrorPipe + 1);
  const int output = fcntl(prepared.output, F_DUPFD, kErrorPipe + 1);
  const int input = fcntl(prepared.input, F_DUPFD, kErrorPipe + 1);
  if (error_pipe < 0 || output < 0 || input < 0 || dup2(input, STDIN_FILENO) < 0 ||
      dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0 ||
      dup2(error_pipe, kErrorPipe) < 0 || fcntl(kErrorPipe, F_SETFD, FD_CLOEXEC) < 0) {
    fail(prepared.error_pipe);
  }
  closefrom(kErrorPipe + 1);
  for (int signal = 1; signal < NSIG; ++signal) {
    if (signal != SIGKILL && signal != SIGSTOP) std::signal(signal, SIG_DFL);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  if (prepared.working_directory != nullptr && chdir(prepared.working_directory) < 0) {
    fail(kErrorPipe);
  }
  execve(prepared.program.c_str(), prepared.arguments.data(), prepared.environment.data());
  fail(kErrorPipe);
  _exit(127);
}

}  // namespace

absl::StatusOr<ChildProcess> ChildProcess::Start(const Command& command, int output) {
  if (command.arguments.empty()) return absl::InvalidArgumentError("a command without a program");
  int error_pipe[2];
  if (pipe2(error_pipe, O_CLOEXEC) < 0) return ToStatus(errno, "pipe");
  const int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const Prepared prepared{.program = FindProgram(command.arguments[0]),
                          .arguments = Pointers(command.arguments),
                          .environment = Pointers(command.environment),
                          .working_directory = command.working_directory.empty()
                                                   ? nullptr
                                                   : command.working_directory.c_str(),
                          .input = input,
                          .output = output,
                          .error_pipe = error_pipe[1],
                          .parent = getpid()};
  const pid_t pid = fork();
  if (pid == 0) RunChild(prepared);
  const int fork_error = errno;
  close(error_pipe[1]);
  close(input);
  if (pid < 0) {
    close(error_pipe[0]);
    return ToStatus(fork_error, "fork");
  }
  // End of file, without an error number, is the moment of a successful exec.
  int error = 0;
  ssize_t got;
  do {
    got = read(error_pipe[0], &error, sizeof error);
  } while (got < 0 && errno == EINTR);
  close(error_pipe[0]);
  if (got == 0) return ChildProcess(pid);
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return ToStatus(error, command.arguments[0]);
}

// By number: the library's header of 2022 declares pidfd_open without C linkage.
ChildProcess::ChildProcess(pid_t pid)
    : pid_(pid), exit_fd_(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))) {}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)), exit_fd_(std::exchange(other.exit_fd_, -1)) {}

ChildProcess::~ChildProcess() {
  if (pid_ != 0) {
    Signal(SIGKILL);
    Wait(0);
  }
  if (exit_fd_ >= 0) close(exit_fd_);
}

void ChildProcess::Signal(int signal) {
  if (pid_ != 0) kill(-pid_, signal);
}

void ChildProcess::Terminate() {
  if (pid_ == 0) return;
  kill(pid_, SIGTERM);
  kill(-pid_, SIGCONT);
}

std::optional<ExitStatus> ChildProcess::TryWait() {
  return pid_ == 0 ? std::nullopt : Wait(WNOHANG);
}

std::optional<ExitStatus> ChildProcess::Wait(int flags) {
  siginfo_t exited{};
  int waited;
  do {
    // Without taking the exit away: until then the number is nobody else's, and so is the group's.
    waited = waitid(P_PID, static_cast<id_t>(pid_), &exited, WEXITED | WNOWAIT | flags);
  } while (waited < 0 && errno == EINTR);
  GRAPEVINE_CHECK(waited == 0);
  if (exited.si_pid == 0) return std::nullopt;
  kill(-pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
  if (exited.si_code == CLD_EXITED) return ExitStatus{exited.si_status, 0};
  return ExitStatus{128 + exited.si_status, exited.si_status};
}

}  // namespace grapevine::local
