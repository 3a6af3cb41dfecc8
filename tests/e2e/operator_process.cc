#include "tests/e2e/operator_process.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <sstream>

#include "gtest/gtest.h"
#include "operator/base/clock.h"
#include "tests/cluster/program.h"

namespace grapevine::e2e {
namespace {

constexpr int kPollMs = 20;
constexpr Duration kPatience = 60s;

}  // namespace

OperatorProcess::OperatorProcess(const std::string& kubeconfig, const std::string& folder,
                                 const std::string& name, const std::vector<std::string>& options)
    : log_(folder + "/" + name + ".log") {
  local::Command command{.arguments = {GRAPEVINE_BINARY, "operator", "--kubeconfig", kubeconfig,
                                       "--metrics", "127.0.0.1:0", "--health", "127.0.0.1:0"},
                         .environment = cluster::EnvironmentWith({})};
  command.arguments.insert(command.arguments.end(), options.begin(), options.end());
  const int log = open(log_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  auto child = local::ChildProcess::Start(command, log);
  close(log);
  EXPECT_TRUE(child.ok()) << child.status();
  if (child.ok()) child_.emplace(*std::move(child));
}

OperatorProcess::~OperatorProcess() {
  if (!child_ || exit_) return;
  child_->Signal(SIGKILL);
  Wait();
}

bool OperatorProcess::WaitForLog(const std::string& text) {
  const Time deadline = RealClock().Now() + kPatience;
  while (Log().find(text) == std::string::npos) {
    if (!exit_) exit_ = child_->TryWait();
    if (exit_ || RealClock().Now() > deadline) return Log().find(text) != std::string::npos;
    poll(nullptr, 0, kPollMs);
  }
  return true;
}

std::string OperatorProcess::Log() const {
  std::ostringstream text;
  text << std::ifstream(log_).rdbuf();
  return std::move(text).str();
}

int OperatorProcess::MetricsPort() const {
  const std::string log = Log();
  const std::string before = "metrics on port ";
  const size_t at = log.find(before);
  return at == std::string::npos ? 0 : std::stoi(log.substr(at + before.size()));
}

local::ExitStatus OperatorProcess::Wait() {
  while (!exit_) {
    exit_ = child_->TryWait();
    if (exit_) break;
    pollfd ended{child_->exit_fd(), POLLIN, 0};
    poll(&ended, 1, kPollMs);
  }
  return *exit_;
}

}  // namespace grapevine::e2e
