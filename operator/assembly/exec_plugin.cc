#include "operator/assembly/exec_plugin.h"

#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <optional>

#include "fmt/format.h"
#include "operator/base/clock.h"
#include "operator/kube/credentials.h"
#include "operator/kube/https.h"
#include "operator/local/child_process.h"

namespace grapevine::assembly {
namespace {

constexpr int kPollMs = 20;  // where the kernel does not say when it has exited
constexpr size_t kMostPrinted = 1 << 20;

std::string ContentOf(int fd) {
  std::string text(kMostPrinted, '\0');
  const ssize_t got = pread(fd, text.data(), text.size(), 0);
  text.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return text;
}

local::Command CommandOf(const kube::ExecPlugin& plugin, const std::string& info) {
  local::Command command{.arguments = {plugin.command}};
  command.arguments.insert(command.arguments.end(), plugin.arguments.begin(),
                           plugin.arguments.end());
  std::map<std::string, std::string> variables = plugin.environment;
  variables["KUBERNETES_EXEC_INFO"] = info;
  for (const auto& [name, value] : variables) command.environment.push_back(name + "=" + value);
  for (char** each = environ; *each != nullptr; ++each) {
    const std::string variable = *each;
    if (variable == std::string("SSL_CERT_FILE=") + kube::kNoCertificates) continue;
    if (!variables.contains(variable.substr(0, variable.find('=')))) {
      command.environment.push_back(variable);
    }
  }
  return command;
}

absl::StatusOr<std::string> RunInto(int output, const local::Command& command) {
  absl::StatusOr<local::ChildProcess> child = local::ChildProcess::Start(command, output);
  if (!child.ok()) return child.status();
  const RealClock clock;
  const Time deadline = clock.Now() + kube::kPluginLimit;
  std::optional<local::ExitStatus> exit;
  bool killed = false;
  while (!(exit = child->TryWait())) {
    if (!killed && clock.Now() > deadline) {
      child->Signal(SIGKILL);
      killed = true;
    }
    pollfd ended{child->exit_fd(), POLLIN, 0};
    poll(&ended, 1, kPollMs);
  }
  if (killed) {
    return absl::DeadlineExceededError(
        fmt::format("it has not ended for {:.0f} s", ToSeconds(kube::kPluginLimit)));
  }
  if (exit->code == 0) return ContentOf(output);
  return absl::InternalError(
      fmt::format("exit status {}: {}", exit->code, ContentOf(output).substr(0, 500)));
}

}  // namespace

absl::StatusOr<std::string> RunExecPlugin(const kube::ExecPlugin& plugin, const std::string& info) {
  const int output = memfd_create("plugin", MFD_CLOEXEC);
  if (output < 0) return absl::InternalError("no memory for its output");
  absl::StatusOr<std::string> printed = RunInto(output, CommandOf(plugin, info));
  close(output);
  return printed;
}

}  // namespace grapevine::assembly
