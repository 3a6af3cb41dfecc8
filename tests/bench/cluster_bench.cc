// What the operator costs against a real API server on this machine: the time to create the pods of
// many jobs, as a multiple of what a plain loop of POSTs over 32 connections takes for the same
// pods in the same run, and the operator's memory with them. No pod runs: there are no nodes.

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "CLI/CLI.hpp"
#include "fmt/format.h"
#include "operator/api/training_job.h"
#include "operator/base/check.h"
#include "operator/kube/http_api_client.h"
#include "operator/training_job/apply.h"
#include "operator/training_job/worker_pod.h"
#include "tests/bench/bench_plane.h"
#include "tests/cluster/control_plane.h"
#include "tests/e2e/operator_process.h"
#include "tests/operator/metrics/scrape.h"

namespace grapevine {
namespace {

using nlohmann::json;

constexpr int kConnections = 32;
// As the operator's pods are.
const training_job::WorkerLaunch kLaunch{.hub_address = "127.0.0.1:12345", .pod_network = true};

struct Size {
  int jobs;
  int workers;  // of each
};

api::TrainingJob MakeJob(const std::string& name_space, int number, int workers) {
  api::TrainingJob job;
  job.metadata.name = fmt::format("job-{}", number);
  job.metadata.name_space = name_space;
  job.metadata.uid = fmt::format("00000000-0000-0000-0000-{:012}", number);
  job.spec.workers.replicas = workers;
  job.spec.workers.max_replicas = workers;
  job.spec.workers.pod_template = {
      {"spec",
       {{"containers",
         {{{"name", "worker"},
           {"image", "grapevine-worker"},
           {"resources", {{"requests", {{"cpu", "1"}, {"memory", "1Gi"}}}}}}}}}}};
  return job;
}

class Bench {
 public:
  Bench(cluster::ControlPlane& plane, const kube::Access& access)
      : plane_(plane), client_(access, &clock_, {}) {}

  // Seconds that a plain loop takes for the pods.
  double Loop(const Size& size) {
    const std::string name_space = *plane_.NewNamespace();
    std::atomic<int> next = 0;
    const Time begun = clock_.Now();
    std::vector<std::jthread> threads;
    for (int i = 0; i < kConnections; ++i) {
      threads.emplace_back([&] {
        for (int n; (n = next++) < size.jobs * size.workers;) {
          const json pod =
              training_job::MakeWorkerPod(MakeJob(name_space, n / size.workers, size.workers),
                                          {.slot = n % size.workers, .incarnation = 0}, kLaunch);
          GRAPEVINE_CHECK(client_.Create(training_job::kPods, pod).ok());
        }
      });
    }
    threads.clear();
    const double took = ToSeconds(clock_.Now() - begun);
    Clear(name_space);
    return took;
  }

  // Seconds from the first job's creation until the operator's last pod is there.
  double Operator(const Size& size) {
    const std::string name_space = *plane_.NewNamespace();
    e2e::OperatorProcess grapevine(
        plane_.kubeconfig(), plane_.folder(), name_space,
        {"--namespace", name_space, "--leader-elect", "false", "--topology", "127.0.0.1:0"});
    GRAPEVINE_CHECK(grapevine.WaitForLog("workers are served"));
    const Time begun = clock_.Now();
    for (int i = 0; i < size.jobs; ++i) {
      json job = api::ToJson(MakeJob(name_space, i, size.workers));
      job["metadata"].erase("uid");
      const auto created = client_.Create(training_job::kTrainingJobs, job);
      GRAPEVINE_CHECK(created.ok());
    }
    // What is made besides pods is little, and to count pods alone takes the server's time.
    const int wanted = size.jobs * size.workers;
    double took = 0;
    do {
      while (Posts(grapevine.MetricsPort()) < wanted)
        std::this_thread::sleep_for(20ms + size.jobs * 2ms);
      took = ToSeconds(clock_.Now() - begun);
    } while (CountPods(name_space) < wanted);
    std::this_thread::sleep_for(2s);  // its cache has them all
    GRAPEVINE_CHECK(CountPods(name_space) == wanted);
    std::printf("  operator's memory: %.1f MiB, at its most %.1f; its CPU time %.2f s\n",
                MemoryOf(grapevine.pid(), "VmRSS:"), MemoryOf(grapevine.pid(), "VmHWM:"),
                metrics::ScrapedValue(grapevine.MetricsPort(), "process_cpu_seconds_total"));
    grapevine.Signal(SIGKILL);
    grapevine.Wait();
    Clear(name_space);
    return took;
  }

 private:
  // Objects that it has made.
  static double Posts(int port) {
    return metrics::ScrapedSum(port, "rest_client_requests_total",
                               {"code=\"201\"", "method=\"POST\""});
  }

  int CountPods(const std::string& name_space) {
    const auto text =
        plane_.Kubectl({"get", "--raw", "/api/v1/namespaces/" + name_space + "/pods?limit=1"});
    GRAPEVINE_CHECK(text.ok());
    const json list = json::parse(*text);
    return static_cast<int>(list["items"].size()) + list["metadata"].value("remainingItemCount", 0);
  }

  static double MemoryOf(int pid, const std::string& what) {
    std::ifstream status(fmt::format("/proc/{}/status", pid));
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with(what)) return std::stod(line.substr(what.size())) / 1024;
    }
    return 0;
  }

  void Clear(const std::string& name_space) {
    for (const char* path : {"/apis/grapevine.dev/v1alpha1/namespaces/{}/trainingjobs",
                             "/api/v1/namespaces/{}/pods"}) {
      const auto cleared =
          plane_.Kubectl({"delete", "--raw", fmt::format(fmt::runtime(path), name_space)});
      GRAPEVINE_CHECK(cleared.ok());
    }
  }

  cluster::ControlPlane& plane_;
  const RealClock clock_;
  kube::HttpApiClient client_;
};

}  // namespace
}  // namespace grapevine

int main(int argc, char** argv) {
  using namespace grapevine;
  CLI::App app("Creating pods: the operator against a plain loop of POSTs.");
  int rounds = 2;
  Size size{.jobs = 100, .workers = 100};
  app.add_option("--jobs", size.jobs);
  app.add_option("--workers", size.workers, "of each job");
  app.add_option("--rounds", rounds);
  CLI11_PARSE(app, argc, argv);
  const BenchPlane server = StartBenchPlane();
  Bench bench(*server.plane, server.access);
  for (int i = 0; i < rounds; ++i) {
    const double loop = bench.Loop(size);
    const double grapevine = bench.Operator(size);
    std::printf("%d jobs of %d: loop %.2f s, operator %.2f s, ratio %.2f\n", size.jobs,
                size.workers, loop, grapevine, grapevine / loop);
    std::fflush(stdout);
  }
  return 0;
}
