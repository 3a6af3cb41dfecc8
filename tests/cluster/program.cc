#include "tests/cluster/program.h"

#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "fmt/format.h"
#include "operator/base/clock.h"
#include "operator/local/child_process.h"

namespace grapevine::cluster {
namespace {

constexpr Duration kLimit = 60s;
constexpr int kPollMs = 20;

std::string ContentOf(int fd) {
  std::string result;
  char buffer[4096];
  ssize_t got;
  lseek(fd, 0, SEEK_SET);
  while ((got = read(fd, buffer, sizeof buffer)) > 0) {
    result.append(buffer, static_cast<size_t>(got));
  }
  return result;
}

std::string_view NameOf(std::string_view variable) {
  return variable.substr(0, variable.find('='));
}

absl::StatusOr<std::string> RunInto(int output, const local::Command& command) {
  absl::StatusOr<local::ChildProcess> child = local::ChildProcess::Start(command, output);
  if (!child.ok()) return child.status();
  const RealClock clock;
  const Time deadline = clock.Now() + kLimit;
  std::optional<local::ExitStatus> exit;
  while (!(exit = child->TryWait())) {
    if (clock.Now() > deadline) {
      return absl::DeadlineExceededError(
          fmt::format("{} did not end: {}", command.arguments[0], ContentOf(output)));
    }
    pollfd ended{child->exit_fd(), POLLIN, 0};
    poll(&ended, 1, kPollMs);
  }
  std::string text = ContentOf(output);
  if (exit->code == 0) return text;
  return absl::InternalError(
      fmt::format("{}: exit status {}: {}", command.arguments[0], exit->code, text));
}

}  // namespace

std::vector<std::string> EnvironmentWith(const std::vector<std::string>& changed) {
  std::vector<std::string> result = changed;
  for (char** each = environ; *each != nullptr; ++each) {
    bool replaced = false;
    for (const std::string& variable : changed) replaced |= NameOf(variable) == NameOf(*each);
    if (!replaced) result.emplace_back(*each);
  }
  return result;
}

absl::StatusOr<std::string> RunProgram(const std::vector<std::string>& arguments,
                                       const std::vector<std::string>& environment) {
  const int output = memfd_create("output", MFD_CLOEXEC);
  if (output < 0) return absl::InternalError("no memory for a program's output");
  absl::StatusOr<std::string> result =
      RunInto(output, {.arguments = arguments, .environment = EnvironmentWith(environment)});
  close(output);
  return result;
}

}  // namespace grapevine::cluster
