#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <thread>

#include "operator/local/api_server.h"
#include "operator/local/process_kubelet.h"

// A process for a test to kill: runs one pod, prints the pid of its child, and waits for its end.
int main() {
  using namespace grapevine;  // NOLINT(google-build-using-namespace)
  RealClock clock;
  local::ApiServer server;
  local::ProcessKubelet kubelet(&server, &clock, {});
  kubelet.Start();
  const nlohmann::json pod = {
      {"metadata", {{"name", "worker"}, {"namespace", "default"}}},
      {"spec", {{"containers", {{{"name", "worker"}, {"command", {"sleep", "600"}}}}}}}};
  if (!server.Create({"", "v1", "pods"}, pod).ok()) return EXIT_FAILURE;
  std::optional<pid_t> pid;
  while (!pid) {
    std::this_thread::sleep_for(1ms);
    pid = kubelet.PidOf({"default", "worker"});
  }
  std::printf("%d\n", *pid);
  std::fflush(stdout);
  pause();
}
