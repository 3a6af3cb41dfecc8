#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "fmt/format.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "operator/base/check.h"
#include "operator/base/mutex.h"
#include "operator/grpc/topology_service.h"

namespace grapevine::e2e {
namespace {

constexpr Duration kPatience = 60s;
const topology::JobKey kJob{"default", "slow"};

// A dataset of one file, which whoever opens it waits for until Release. Thread-compatible.
class LockedDataset {
 public:
  LockedDataset() {
    sigset_t broken;
    sigemptyset(&broken);
    sigaddset(&broken, SIGIO);
    pthread_sigmask(SIG_BLOCK, &broken, nullptr);
    std::string pattern = testing::TempDir() + "/grapevine_dataset_XXXXXX";
    folder_ = mkdtemp(pattern.data());
    file_ =
        open((folder_ + "/train-images-idx3-ubyte").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    // Long enough that a worker is still reading when one that does not wait for it is gone.
    GRAPEVINE_CHECK(ftruncate(file_, 64 << 20) == 0);
    leased_ = fcntl(file_, F_SETLEASE, F_WRLCK) == 0;
  }
  ~LockedDataset() {
    Release();
    std::filesystem::remove_all(folder_);
  }

  const std::string& folder() const { return folder_; }
  bool leased() const { return leased_; }  // not every filesystem can
  bool WaitForReader() const {
    sigset_t broken;
    sigemptyset(&broken);
    sigaddset(&broken, SIGIO);
    const timespec limit{.tv_sec = 60, .tv_nsec = 0};
    return sigtimedwait(&broken, nullptr, &limit) == SIGIO;
  }
  void Release() {
    if (file_ >= 0) close(std::exchange(file_, -1));
  }

 private:
  std::string folder_;
  int file_ = -1;
  bool leased_ = false;
};

pid_t StartWorker(int hub_port) {
  std::vector<std::string> variables = {
      fmt::format("GRAPEVINE_HUB=127.0.0.1:{}", hub_port),
      "GRAPEVINE_NAMESPACE=" + kJob.name_space,
      "GRAPEVINE_JOB=" + kJob.name,
      "GRAPEVINE_POD=p0",
      "GRAPEVINE_POD_UID=uid-of-p0",
      "MALLOC_PERTURB_=165"};  // freed memory does not pass for what it was
  std::vector<char*> environment;
  for (std::string& variable : variables) environment.push_back(variable.data());
  for (char** entry = environ; *entry != nullptr; ++entry) environment.push_back(*entry);
  environment.push_back(nullptr);
  std::string binary = GRAPEVINE_WORKER_BINARY;
  char* arguments[] = {binary.data(), nullptr};
  pid_t pid = 0;
  GRAPEVINE_CHECK(
      posix_spawn(&pid, binary.c_str(), nullptr, nullptr, arguments, environment.data()) == 0);
  return pid;
}

// As a shell says it; kills what has not ended in time.
int Wait(pid_t pid) {
  int status = 0;
  const RealClock clock;
  const Time deadline = clock.Now() + kPatience;
  while (waitpid(pid, &status, WNOHANG) == 0) {
    if (clock.Now() > deadline) kill(pid, SIGKILL);
    std::this_thread::sleep_for(10ms);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(Worker, AskedToEndWhileItReadsItsDatasetItEndsInOrder) {
  LockedDataset dataset;
  if (!dataset.leased()) GTEST_SKIP() << "no leases on files here";
  const RealClock clock;
  Mutex mutex;
  CondVar changed;
  int changes = 0;
  topology::Hub hub(clock, [&](const topology::JobKey&) {
    MutexLock lock(mutex);
    ++changes;
    changed.NotifyAll();
  });
  const nlohmann::json spec = {
      {"training",
       {{"model", "mlp"}, {"dataset", {{"name", "mnist"}, {"path", dataset.folder()}}}}},
      {"workers", {{"replicas", 1}}}};
  hub.EnsureJob(kJob, {.uid = "u1", .spec_json = spec.dump(), .batch_size = 10, .data_epochs = 1});
  const auto server = grpc_service::TopologyServer::Start(hub, {});
  ASSERT_TRUE(server.ok());
  const pid_t worker = StartWorker((*server)->port());
  EXPECT_TRUE(dataset.WaitForReader());
  kill(worker, SIGTERM);
  {
    // Until it has said goodbye.
    MutexLock lock(mutex);
    const Time deadline = clock.Now() + kPatience;
    while (changes == 0 && clock.Now() < deadline) changed.WaitUntil(mutex, deadline);
    EXPECT_GT(changes, 0);
  }
  dataset.Release();
  EXPECT_EQ(Wait(worker), 0);
}

}  // namespace
}  // namespace grapevine::e2e
