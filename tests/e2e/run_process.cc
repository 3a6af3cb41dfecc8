#include "tests/e2e/run_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "gtest/gtest.h"

namespace grapevine::e2e {
namespace {

using namespace std::chrono_literals;

constexpr auto kPollInterval = 20ms;
constexpr auto kPatience = 60s;

// Polls until `done` says so; tests assert nothing about how long it took.
template <typename Done>
bool Eventually(Done done) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(kPollInterval);
  }
  return true;
}

struct ProcessState {
  pid_t parent = 0;
  char state = 0;  // as in /proc/PID/stat
};

ProcessState StateOf(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return {};
  ProcessState found;
  std::istringstream(text.substr(name_end + 1)) >> found.state >> found.parent;
  return found;
}

}  // namespace

bool IsAlive(pid_t pid) {
  const char state = StateOf(pid).state;
  return state != 0 && state != 'Z' && state != 'X';
}

RunProcess::RunProcess(std::vector<std::string> arguments) {
  std::string pattern = testing::TempDir() + "/grapevine_run_XXXXXX";
  folder_ = mkdtemp(pattern.data());
  if (std::ranges::find(arguments, "--report") == arguments.end()) {
    arguments.insert(arguments.begin(), {"--report", folder_ / "report.json"});
  }
  arguments.insert(arguments.begin(),
                   {GRAPEVINE_BINARY, "run", "--set", "checkpoint.path=" + checkpoints()});
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const std::string log = folder_ / "output";
  pid_ = fork();
  if (pid_ == 0) {
    const int output = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    const int input = open("/dev/null", O_RDONLY);
    dup2(input, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    execv(argv[0], argv.data());
    _exit(127);
  }
}

RunProcess::~RunProcess() {
  if (!ended_) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

int RunProcess::Wait(int limit_seconds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(limit_seconds);
  int status = 0;
  while (waitpid(pid_, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > deadline) {
      ADD_FAILURE() << "no end after " << limit_seconds << " s; it printed:\n" << Output();
      kill(pid_, SIGKILL);
      waitpid(pid_, &status, 0);
      break;
    }
    std::this_thread::sleep_for(kPollInterval);
  }
  ended_ = true;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void RunProcess::Signal(int signal) const { kill(pid_, signal); }

std::vector<pid_t> RunProcess::Workers() const {
  std::vector<pid_t> workers;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid > 0 && StateOf(pid).parent == pid_ && IsAlive(pid)) workers.push_back(pid);
  }
  return workers;
}

bool RunProcess::WaitForWorkers(size_t count) const {
  return Eventually([&] { return Workers().size() == count; });
}

bool RunProcess::WaitForOutput(const std::string& text, int times) const {
  return Eventually([&] {
    const std::string output = Output();
    int found = 0;
    for (size_t at = output.find(text); at != std::string::npos; at = output.find(text, at + 1)) {
      ++found;
    }
    return found >= times;
  });
}

std::string RunProcess::Output() const {
  std::ifstream file(folder_ / "output");
  return std::string((std::istreambuf_iterator<char>(file)), {});
}

nlohmann::json RunProcess::Report() const {
  std::ifstream file(folder_ / "report.json");
  return nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
}

}  // namespace grapevine::e2e
