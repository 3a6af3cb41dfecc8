#include "operator/local/output_lines.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "fmt/format.h"

namespace grapevine::local {
namespace {

constexpr size_t kMaxLine = 64 << 10;

}  // namespace

absl::StatusOr<OutputLines> OutputLines::Create(std::string prefix, int to) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) < 0) {
    return absl::ResourceExhaustedError(fmt::format("pipe: {}", std::strerror(errno)));
  }
  // The reading end alone: a process that meets EAGAIN on its output would lose lines.
  fcntl(fds[0], F_SETFL, O_NONBLOCK);
  return OutputLines(std::move(prefix), to, fds[0], fds[1]);
}

OutputLines::OutputLines(std::string prefix, int to, int read_fd, int write_fd)
    : prefix_(std::move(prefix)), to_(to), read_fd_(read_fd), write_fd_(write_fd) {}

OutputLines::OutputLines(OutputLines&& other) noexcept
    : prefix_(std::move(other.prefix_)),
      to_(other.to_),
      read_fd_(std::exchange(other.read_fd_, -1)),
      write_fd_(std::exchange(other.write_fd_, -1)),
      unfinished_(std::move(other.unfinished_)) {}

OutputLines::~OutputLines() {
  CloseWriteEnd();
  if (read_fd_ >= 0) close(read_fd_);
}

void OutputLines::CloseWriteEnd() {
  if (write_fd_ >= 0) close(std::exchange(write_fd_, -1));
}

void OutputLines::PassOn() {
  std::array<char, 16 << 10> buffer;
  while (read_fd_ >= 0) {
    const ssize_t got = read(read_fd_, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      if (got == 0) close(std::exchange(read_fd_, -1));
      return;
    }
    unfinished_.append(buffer.data(), static_cast<size_t>(got));
    size_t start = 0;
    for (size_t end; (end = unfinished_.find('\n', start)) != std::string::npos; start = end + 1) {
      WriteLine(std::string_view(unfinished_).substr(start, end - start));
    }
    unfinished_.erase(0, start);
    if (unfinished_.size() >= kMaxLine) {
      WriteLine(unfinished_);
      unfinished_.clear();
    }
  }
}

void OutputLines::Finish() {
  PassOn();
  if (!unfinished_.empty()) WriteLine(std::exchange(unfinished_, ""));
  if (read_fd_ >= 0) close(std::exchange(read_fd_, -1));
}

void OutputLines::WriteLine(std::string_view line) {
  const std::string text = fmt::format("{}{}\n", prefix_, line);
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t written = write(to_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return;
    rest.remove_prefix(static_cast<size_t>(written));
  }
}

}  // namespace grapevine::local
