#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace grapevine::local {

struct Command {
  std::vector<std::string> arguments;    // the program first; no shell
  std::vector<std::string> environment;  // NAME=value, all of it
  std::string working_directory;         // empty: the parent's
};

struct ExitStatus {
  int code = 0;    // 128 + signal when a signal ended it
  int signal = 0;  // 0 when it ended by itself
};

// A running program. It starts with a process group of its own, so a Ctrl-C in the terminal does
// not reach it, with no open file but /dev/null as input and one for output and error, with default
// signal handling, and it gets SIGKILL when the thread that started it ends, however that comes
// about: start it from a thread that lives as long as it may. Thread-compatible.
class ChildProcess {
 public:
  // `output` stays the caller's. NotFound, PermissionDenied or Internal when the program cannot be
  // started; returns when it runs.
  static absl::StatusOr<ChildProcess> Start(const Command& command, int output);

  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;
  // REQUIRES: has exited, as TryWait said. A bug elsewhere must not leave it running: kills and
  // waits.
  ~ChildProcess();

  pid_t pid() const { return pid_; }
  // Readable once it has exited; -1 where the kernel has no such thing: then ask TryWait now and
  // then.
  int exit_fd() const { return exit_fd_; }

  // To the whole process group. Nothing happens after the exit was seen.
  void Signal(int signal);
  // Asks it to end: SIGTERM to the program alone, which sees to its own children; SIGCONT to all,
  // since one that is stopped would not notice.
  void Terminate();
  // The exit, once; nullopt while it runs. What is left of its process group is killed then. No
  // other code may wait for this process.
  std::optional<ExitStatus> TryWait();

 private:
  explicit ChildProcess(pid_t pid);

  std::optional<ExitStatus> Wait(int flags);

  pid_t pid_;  // 0 once waited for
  int exit_fd_;
};

}  // namespace grapevine::local
