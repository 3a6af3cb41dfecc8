#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"

namespace grapevine::e2e {

// A `grapevine run` as a user starts one: its own process, without a terminal, in a folder of its
// own that is removed with it. What still runs at destruction gets SIGKILL. Thread-compatible.
class RunProcess {
 public:
  // Starts `grapevine run` with these arguments, and --report unless they have it.
  explicit RunProcess(std::vector<std::string> arguments);
  ~RunProcess();
  RunProcess(const RunProcess&) = delete;
  RunProcess& operator=(const RunProcess&) = delete;

  // Waits for the end. The exit status, or 128 + the signal that ended it. Fails the test and kills
  // it after `limit_seconds`.
  int Wait(int limit_seconds = 100);

  void Signal(int signal) const;

  // Processes started by it that live now, zombies left out.
  std::vector<pid_t> Workers() const;
  // Waits until there are `count` of them.
  bool WaitForWorkers(size_t count) const;
  // Waits until its output has `text` so many times; false when that took more than a minute.
  bool WaitForOutput(const std::string& text, int times = 1) const;

  // Standard output and error so far.
  std::string Output() const;
  nlohmann::json Report() const;
  // Where it writes checkpoints, unless the arguments say otherwise.
  std::string checkpoints() const { return folder_ / "checkpoints"; }

 private:
  std::filesystem::path folder_;
  pid_t pid_ = -1;
  bool ended_ = false;
};

// Alive and no zombie.
bool IsAlive(pid_t pid);

}  // namespace grapevine::e2e
