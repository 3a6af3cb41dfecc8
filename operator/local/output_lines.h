#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace grapevine::local {

// Passes on what a process writes, each line after a prefix, so that the lines of several can be
// told apart and do not mix. A line of more than 64 KiB is cut in two. Thread-compatible.
class OutputLines {
 public:
  // Lines go to the descriptor `to`.
  static absl::StatusOr<OutputLines> Create(std::string prefix, int to);

  OutputLines(OutputLines&& other) noexcept;
  OutputLines& operator=(OutputLines&&) = delete;
  ~OutputLines();

  // For the process to write to.
  int write_fd() const { return write_fd_; }
  // Once the process has it, so that its end can be seen.
  void CloseWriteEnd();

  // Readable when there is something to pass on; -1 after the end.
  int read_fd() const { return read_fd_; }
  // Passes on what is there, without waiting for more.
  void PassOn();
  // The same, and the unfinished last line; what comes later is lost.
  void Finish();

 private:
  OutputLines(std::string prefix, int to, int read_fd, int write_fd);

  void WriteLine(std::string_view line);

  std::string prefix_;
  int to_;
  int read_fd_;
  int write_fd_;
  std::string unfinished_;
};

}  // namespace grapevine::local
