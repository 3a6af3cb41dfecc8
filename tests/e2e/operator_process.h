#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operator/local/child_process.h"

namespace grapevine::e2e {

// A `grapevine operator` as a child process whose log is kept; its metrics and probes are on free
// ports of this machine. It is killed with the test. Lives on the test's thread.
class OperatorProcess {
 public:
  // `folder` takes its log, NAME.log.
  OperatorProcess(const std::string& kubeconfig, const std::string& folder, const std::string& name,
                  const std::vector<std::string>& options = {});
  ~OperatorProcess();

  // Waits until the log says `text`; false when the process ended, or a minute passed, before.
  bool WaitForLog(const std::string& text);
  std::string Log() const;

  // Once the log says it.
  int MetricsPort() const;
  int pid() const { return child_->pid(); }
  void Signal(int signal) { child_->Signal(signal); }
  // Waits for its end.
  local::ExitStatus Wait();

 private:
  const std::string log_;
  std::optional<local::ChildProcess> child_;
  std::optional<local::ExitStatus> exit_;
};

}  // namespace grapevine::e2e
