// What the operator costs once jobs run, against a real API server on this machine: 100 jobs of 16
// imitated workers, each on a gRPC stream. Prints its CPU time and its writes while nothing
// happens, without workers and with workers that report each second; then how long it takes from a
// pod's being marked for deletion until the last of its neighbours has its new view.

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/base/thread_annotations.h"
#include "fmt/format.h"
#include "operator/api/topology.grpc.pb.h"
#include "operator/api/training_job.h"
#include "operator/base/check.h"
#include "operator/base/mutex.h"
#include "operator/controller/object_store.h"
#include "operator/kube/http_api_client.h"
#include "operator/training_job/apply.h"
#include "tests/bench/bench_plane.h"
#include "tests/cluster/control_plane.h"
#include "tests/cluster/test_kubelet.h"
#include "tests/e2e/operator_process.h"
#include "tests/operator/metrics/scrape.h"
#include "tests/simulation/imitated_worker.h"

namespace grapevine {
namespace {

using nlohmann::json;
using simulation::ImitatedWorker;
using topology::v1::HubMessage;
using topology::v1::WorkerMessage;

// A worker on a stream that gRPC's own threads carry. It registers and reports, and never trains.
// Thread-safe.
class Streamed final : public grpc::ClientBidiReactor<WorkerMessage, HubMessage> {
 public:
  Streamed(const std::shared_ptr<grpc::Channel>& channel, ImitatedWorker::Pod pod)
      : stub_(channel), worker_(std::move(pod)) {
    stub_.async()->Session(&context_, this);
    {
      MutexLock lock(mutex_);
      SendLocked(worker_.Register());
    }
    StartRead(&incoming_);
    StartCall();
  }
  ~Streamed() override {
    context_.TryCancel();
    MutexLock lock(mutex_);
    while (!done_) changed_.Wait(mutex_);
  }

  void Report() {
    MutexLock lock(mutex_);
    if (const auto report = worker_.Report()) SendLocked(*report);
  }
  struct Seen {
    uint64_t epoch = 0;
    size_t neighbours = 0;
    Time at{};
  };
  Seen seen() {
    MutexLock lock(mutex_);
    return {worker_.view().epoch(), static_cast<size_t>(worker_.view().neighbours_size()),
            viewed_at_};
  }

  void OnReadDone(bool ok) override {
    MutexLock lock(mutex_);
    ended_ |= !ok;
    if (ended_) return;
    if (incoming_.has_view()) viewed_at_ = clock_.Now();
    for (const WorkerMessage& answer : worker_.OnMessage(incoming_)) SendLocked(answer);
    StartRead(&incoming_);
  }
  void OnWriteDone(bool ok) override {
    MutexLock lock(mutex_);
    outgoing_.pop_front();
    if (ok && !ended_ && !outgoing_.empty()) StartWrite(&outgoing_.front());
  }
  void OnDone(const grpc::Status&) override {
    MutexLock lock(mutex_);
    done_ = true;
    changed_.NotifyAll();
  }

 private:
  void SendLocked(const WorkerMessage& message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (ended_) return;
    outgoing_.push_back(message);
    if (outgoing_.size() == 1) StartWrite(&outgoing_.front());
  }

  topology::v1::Topology::Stub stub_;
  const RealClock clock_;
  grpc::ClientContext context_;
  HubMessage incoming_;  // of the read under way
  Mutex mutex_;
  CondVar changed_;
  ImitatedWorker worker_ ABSL_GUARDED_BY(mutex_);
  std::deque<WorkerMessage> outgoing_ ABSL_GUARDED_BY(mutex_);
  Time viewed_at_ ABSL_GUARDED_BY(mutex_){};
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;  // nothing more comes or goes
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
};

double Quantile(std::vector<double> values, double q) {
  std::ranges::sort(values);
  return values[static_cast<size_t>(q * static_cast<double>(values.size() - 1))];
}

class Bench {
 public:
  Bench(cluster::ControlPlane& plane, const kube::Access& access, int jobs, int workers)
      : jobs_(jobs),
        workers_(workers),
        name_space_(*plane.NewNamespace()),
        client_(access, &clock_, {}),
        kubelet_(&client_, &clock_, {.name_space = name_space_, .nodes = {name_space_}}),
        operator_(
            plane.kubeconfig(), plane.folder(), name_space_,
            {"--namespace", name_space_, "--leader-elect", "false", "--topology", "127.0.0.1:0"}) {
    GRAPEVINE_CHECK(operator_.WaitForLog("workers are served"));
    const std::string log = operator_.Log();
    const std::string before = "workers are served at ";
    const size_t at = log.find(before) + before.size();
    hub_ = log.substr(at, log.find_first_of(" \n\"", at) - at);
    watch_ = *client_.OpenWatch(training_job::kPods, name_space_, {},
                                [this](const controller::WatchEvent& event) { OnPod(event); });
    GRAPEVINE_CHECK(kubelet_.Start().ok());
    for (int i = 0; i < jobs_; ++i) Submit(fmt::format("job-{}", i));
    WaitFor([this] { return running() == static_cast<size_t>(jobs_ * workers_); });
  }

  void Idle(const char* how, Duration settle, Duration measured) {
    Pass(settle);
    const double cpu = CpuSeconds();
    const double writes = Writes();
    Pass(measured);
    std::printf("idle for %.0f s %s: %.2f %% of a core, %.0f writes\n", ToSeconds(measured), how,
                100 * (CpuSeconds() - cpu) / ToSeconds(measured), Writes() - writes);
    std::fflush(stdout);
  }

  // All workers connect, and are members.
  void Connect() {
    streaming_ = true;
    WaitFor([this] {
      if (streams_.size() < static_cast<size_t>(jobs_ * workers_)) return false;
      return std::ranges::all_of(streams_, [this](const auto& each) {
        return each.second->seen().neighbours == static_cast<size_t>(workers_ / 2);
      });
    });
  }

  // A pod at a time is deleted, in turn of each job.
  void Leave(int rounds) {
    std::vector<double> called, answered;
    for (int round = 0; round < rounds; ++round) {
      const std::string job = fmt::format("job-{}", round % jobs_);
      const auto members = StreamsOf(job);
      const controller::Request leaver = members.begin()->first;
      std::map<controller::Request, uint64_t> before;
      for (const auto& [pod, stream] : members) before[pod] = stream->seen().epoch;
      const Time begun = clock_.Now();
      GRAPEVINE_CHECK(client_.Delete(training_job::kPods, name_space_, leaver.name, {}).ok());
      const Time marked = clock_.Now();
      // Its neighbours are half of the job's members: those of the other side.
      size_t told = 0;
      Time last{};
      WaitFor([&] {
        told = 0;
        last = {};
        for (const auto& [pod, stream] : members) {
          const auto seen = stream->seen();
          if (pod == leaver || seen.epoch == before[pod]) continue;
          ++told;
          last = std::max(last, seen.at);
        }
        return told >= static_cast<size_t>(workers_ / 2);
      });
      called.push_back(1e3 * ToSeconds(last - begun));
      answered.push_back(1e3 * ToSeconds(std::max(last, marked) - marked));
      WaitFor([&] {
        const auto now = StreamsOf(job);
        return now.size() == static_cast<size_t>(workers_) &&
               std::ranges::all_of(now, [&](const auto& each) {
                 return each.second->seen().neighbours == static_cast<size_t>(workers_ / 2);
               });
      });
    }
    for (const auto& [from, values] :
         {std::pair{"the call to delete", &called}, std::pair{"its answer", &answered}}) {
      std::printf(
          "%d leaves, from %s to the last neighbour's view: p50 %.1f ms, p99 %.1f, max %.1f\n",
          rounds, from, Quantile(*values, 0.5), Quantile(*values, 0.99), Quantile(*values, 1));
    }
  }

 private:
  using Streams = std::map<controller::Request, std::shared_ptr<Streamed>>;

  void Submit(const std::string& name) {
    api::TrainingJob job;
    job.metadata.name = name;
    job.metadata.name_space = name_space_;
    job.spec.training.epochs = 1000;
    job.spec.workers.replicas = job.spec.workers.max_replicas = workers_;
    job.spec.workers.pod_template = {
        {"spec", {{"containers", {{{"name", "worker"}, {"image", "grapevine-worker"}}}}}}};
    json object = api::ToJson(job);
    object["metadata"].erase("uid");
    GRAPEVINE_CHECK(client_.Create(training_job::kTrainingJobs, object).ok());
  }

  void OnPod(const controller::WatchEvent& event) {
    if (event.type == controller::WatchEvent::Type::kBookmark) return;
    GRAPEVINE_CHECK(event.type != controller::WatchEvent::Type::kError);
    const bool runs = event.type != controller::WatchEvent::Type::kDeleted &&
                      !event.object["metadata"].contains("deletionTimestamp") &&
                      event.object.value("/status/phase"_json_pointer, "") == "Running";
    MutexLock lock(mutex_);
    if (runs) {
      running_[controller::KeyOf(event.object)] = controller::UidOf(event.object);
    } else {
      running_.erase(controller::KeyOf(event.object));
    }
  }
  size_t running() {
    MutexLock lock(mutex_);
    return running_.size();
  }

  static std::string JobOf(const std::string& pod) {
    return pod.substr(0, pod.find('-', pod.find('-') + 1));
  }

  Streams StreamsOf(const std::string& job) {
    Streams found;
    for (const auto& [pod, stream] : streams_) {
      if (JobOf(pod.name) == job) found.emplace(pod, stream);
    }
    return found;
  }

  // Streams follow the pods; each reports once a second.
  void LookAfterStreams() {
    if (!streaming_) return;
    std::map<controller::Request, std::string> running;
    {
      MutexLock lock(mutex_);
      running = running_;
    }
    std::erase_if(streams_, [&](const auto& each) { return !running.contains(each.first); });
    for (const auto& [pod, uid] : running) {
      if (streams_.contains(pod)) continue;
      auto& channel = channels_[JobOf(pod.name)];
      if (!channel) channel = grpc::CreateChannel(hub_, grpc::InsecureChannelCredentials());
      streams_[pod] = std::make_shared<Streamed>(
          channel, ImitatedWorker::Pod{name_space_, JobOf(pod.name), pod.name, uid});
    }
    // Those of this millisecond.
    const auto turn = static_cast<size_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(clock_.Now().time_since_epoch())
            .count());
    size_t i = 0;
    for (const auto& [pod, stream] : streams_) {
      const size_t due = i++ * 1000 / streams_.size();
      if ((turn + 1000 - due) % 1000 < (turn + 1000 - reported_) % 1000) stream->Report();
    }
    reported_ = turn;
  }

  template <typename Done>
  void WaitFor(Done done) {
    for (const Time limit = clock_.Now() + 300s; !done(); std::this_thread::sleep_for(1ms)) {
      GRAPEVINE_CHECK(clock_.Now() < limit);
      LookAfterStreams();
    }
  }
  void Pass(Duration time) {
    const Time end = clock_.Now() + time;
    WaitFor([&] { return clock_.Now() >= end; });
  }

  double CpuSeconds() {
    return metrics::ScrapedValue(operator_.MetricsPort(), "process_cpu_seconds_total");
  }
  double Writes() {
    double writes = 0;
    for (const char* method : {"POST", "PUT", "PATCH", "DELETE"}) {
      writes += metrics::ScrapedSum(operator_.MetricsPort(), "rest_client_requests_total",
                                    {fmt::format("method=\"{}\"", method)});
    }
    return writes;
  }

  const int jobs_;
  const int workers_;
  const std::string name_space_;
  const RealClock clock_;
  kube::HttpApiClient client_;
  cluster::TestKubelet kubelet_;
  e2e::OperatorProcess operator_;
  std::string hub_;
  Mutex mutex_;
  std::map<controller::Request, std::string> running_ ABSL_GUARDED_BY(mutex_);  // to the uid
  std::unique_ptr<controller::Watch> watch_;
  bool streaming_ = false;
  std::map<std::string, std::shared_ptr<grpc::Channel>> channels_;  // by job
  Streams streams_;
  size_t reported_ = 0;
};

}  // namespace
}  // namespace grapevine

int main(int argc, char** argv) {
  using namespace grapevine;
  CLI::App app("What the operator costs once jobs run.");
  int jobs = 100;
  int workers = 16;
  int rounds = 200;
  double seconds = 30;
  app.add_option("--jobs", jobs);
  app.add_option("--workers", workers, "of each job; even");
  app.add_option("--rounds", rounds, "pods that are deleted, one after the other");
  app.add_option("--seconds", seconds, "of each measurement while nothing happens");
  CLI11_PARSE(app, argc, argv);
  const BenchPlane server = StartBenchPlane();
  Bench bench(*server.plane, server.access, jobs, workers);
  bench.Idle("without workers", 5s, FromSeconds(seconds));
  bench.Connect();
  bench.Idle("with workers that report each second", 10s, FromSeconds(seconds));
  bench.Leave(rounds);
  return 0;
}
