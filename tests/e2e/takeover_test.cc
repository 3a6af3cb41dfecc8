// Operators that end while real workers train: another one leads, and the workers do not notice.

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/api/labels.h"
#include "operator/api/training_job.h"
#include "operator/training_job/apply.h"
#include "tests/e2e/cluster_fixture.h"
#include "tests/e2e/records.h"
#include "tests/operator/metrics/scrape.h"

namespace grapevine::e2e {
namespace {

using controller::WatchEvent;
using nlohmann::json;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kJob[] = "takeover";
constexpr int kWorkers = 4;             // in the end
constexpr int64_t kTrainingSet = 1437;  // samples of the digits
constexpr Duration kLimit = 100s;       // of a wait
constexpr Duration kTurn = 20ms;

// Who held the lease, in turn; empty where it was given back. Thread-safe.
class HolderRecord {
 public:
  void OnEvent(const WatchEvent& event) {
    if (event.type != WatchEvent::Type::kAdded && event.type != WatchEvent::Type::kModified) return;
    const std::string holder = event.object.value("/spec/holderIdentity"_json_pointer, "");
    MutexLock lock(mutex_);
    if (!holders_.empty() && holders_.back() == holder) return;
    holders_.push_back(holder);
    changed_at_ = RealClock().Now();
  }
  std::vector<std::string> holders() const {
    MutexLock lock(mutex_);
    return holders_;
  }
  Time changed_at() const {
    MutexLock lock(mutex_);
    return changed_at_;
  }

 private:
  mutable Mutex mutex_;
  std::vector<std::string> holders_ ABSL_GUARDED_BY(mutex_);
  Time changed_at_ ABSL_GUARDED_BY(mutex_){};
};

int64_t Sum(const std::vector<int64_t>& numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), int64_t{0});
}

size_t Count(const std::string& text, const std::string& what) {
  size_t count = 0;
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += what.size()) ++count;
  return count;
}

// Enough for three changes of leaders: workers that have a core each take as many more steps.
int DataEpochs() {
  return 1500 * std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 2, kWorkers);
}

class TakeoverTest : public ClusterTest {
 protected:
  struct Figures {
    double steps = 0;
    double exchanges = 0;  // begun by it
  };

  void SetUp() override {
    ClusterTest::SetUp();
    Watch(training_job::kPods, [this](const WatchEvent& event) { pods_.OnEvent(event); });
    Watch(training_job::kCommunicationGraphs,
          [this](const WatchEvent& event) { graphs_.OnEvent(event); });
    Watch({"coordination.k8s.io", "v1", "leases"},
          [this](const WatchEvent& event) { holders_.OnEvent(event); });
  }
  void TearDown() override { watches_.clear(); }

  void Watch(const controller::Resource& resource,
             const std::function<void(const WatchEvent&)>& on_event) {
    auto watch = client_->OpenWatch(resource, name_space_, {}, on_event);
    ASSERT_TRUE(watch.ok()) << watch.status();
    watches_.push_back(*std::move(watch));
  }

  // False when it did not come about in time.
  bool WaitUntil(const std::function<bool()>& done) {
    const Time deadline = clock_.Now() + kLimit;
    while (!done()) {
      if (clock_.Now() > deadline) return false;
      std::this_thread::sleep_for(kTurn);
    }
    return true;
  }

  api::TrainingJobStatus Status() {
    const auto job = client_->Get(training_job::kTrainingJobs, name_space_, kJob);
    EXPECT_TRUE(job.ok()) << job.status();
    return job.ok() ? api::StatusFromJson(job->value("status", json::object()))
                    : api::TrainingJobStatus();
  }
  bool Succeeded() { return api::IsTrue(Status().conditions, api::kSucceeded); }

  bool AwaitMembers(int members) {
    return WaitUntil([&] { return Status().workers.members == members; });
  }
  bool Scale(int workers) {
    pods_.Allow(workers);
    return Kubectl({"scale", fmt::format("tj/{}", kJob), fmt::format("--replicas={}", workers)})
               .ok() &&
           AwaitMembers(workers);
  }

  std::map<std::string, std::optional<pid_t>> Processes() {
    std::map<std::string, std::optional<pid_t>> processes;
    for (const auto& [pod, uid] : pods_.running()) {
      processes[pod] = kubelet_->PidOf({name_space_, pod});
    }
    return processes;
  }
  std::string WorkerLog(const std::string& pod) {
    std::ostringstream text;
    text << std::ifstream(plane_.folder() + "/" + pod + ".log").rdbuf();
    return std::move(text).str();
  }
  // The numbers that follow `text` in the worker's log, in turn.
  std::vector<int64_t> Logged(const std::string& pod, const std::string& text) {
    const std::string log = WorkerLog(pod);
    std::vector<int64_t> numbers;
    for (size_t at = 0; (at = log.find(text, at)) != std::string::npos;) {
      at += text.size();
      numbers.push_back(std::stoll(log.substr(at)));
    }
    return numbers;
  }
  std::map<std::string, Figures> Measure() {
    std::map<std::string, Figures> figures;
    for (const auto& [pod, uid] : pods_.running()) {
      const auto port = static_cast<int>(Logged(pod, "metrics on port ").at(0));
      const auto value = [&](const char* series) { return metrics::ScrapedValue(port, series); };
      figures[pod] = {value("grapevine_worker_steps_total"),
                      value("grapevine_worker_exchanges_total{result=\"completed\"}")};
    }
    return figures;
  }

  // `from` leads and ends by this signal, `to` waits for it: until it has all members.
  void HandOver(OperatorProcess& from, int signal, OperatorProcess& to) {
    ASSERT_FALSE(Succeeded()) << "the job is too short for this machine";
    const auto processes = Processes();
    const auto pods = pods_.running();
    const auto before = Measure();
    const Time begun = clock_.Now();
    from.Signal(signal);
    const bool served = WaitUntil([&] { return Count(to.Log(), "workers are served") > 0; });
    const Time served_at = clock_.Now();
    ASSERT_TRUE(served) << to.Log();
    from.Wait();
    const auto now = Measure();
    EXPECT_TRUE(WaitUntil([&] { return Count(to.Log(), " goes on") == pods.size(); })) << to.Log();
    std::printf(
        "signal %d: another one has the lease after %.2f s, serves after %.2f s, has all %zu "
        "members after %.2f s\n",
        signal, ToSeconds(holders_.changed_at() - begun), ToSeconds(served_at - begun), pods.size(),
        ToSeconds(clock_.Now() - begun));
    double exchanges = 0;
    for (const auto& [pod, figures] : now) {
      EXPECT_GT(figures.steps, before.at(pod).steps) << pod;
      exchanges += figures.exchanges - before.at(pod).exchanges;
    }
    EXPECT_GT(exchanges, 0);
    EXPECT_EQ(pods_.running(), pods);
    EXPECT_EQ(Processes(), processes);
  }

  PodRecord pods_{0};
  GraphRecord graphs_;
  HolderRecord holders_;
  std::vector<std::unique_ptr<controller::Watch>> watches_;  // last: they call the records
};

TEST_F(TakeoverTest, WorkersTrainOnWhateverBecomesOfTheirLeaders) {
  auto first = StartOperator("first");
  StartKubelet();
  json job = Example("digits.yaml");
  job["metadata"]["name"] = kJob;
  job["spec"]["training"]["epochs"] = DataEpochs();
  job["spec"]["workers"]["replicas"] = 2;
  pods_.Allow(2);
  ASSERT_TRUE(Kubectl({"apply"}, job.dump()).ok());
  ASSERT_TRUE(AwaitMembers(2)) << first->Log();

  // After each change of leaders the new one changes the graph.
  auto second = StartOperator("second");
  ASSERT_NO_FATAL_FAILURE(HandOver(*first, SIGTERM, *second));
  EXPECT_EQ(first->Wait().code, 0) << first->Log();
  ASSERT_TRUE(Scale(3)) << second->Log();
  auto third = StartOperator("third");
  ASSERT_NO_FATAL_FAILURE(HandOver(*second, SIGKILL, *third));
  ASSERT_TRUE(Scale(4)) << third->Log();
  auto fourth = StartOperator("fourth");
  ASSERT_NO_FATAL_FAILURE(HandOver(*third, SIGKILL, *fourth));
  ASSERT_TRUE(WaitUntil([&] { return Succeeded() && pods_.running().empty(); })) << fourth->Log();

  // Only who leaves in order gives the lease back.
  const auto holders = holders_.holders();
  ASSERT_EQ(holders.size(), 5u);
  EXPECT_EQ(holders[1], "");
  const api::TrainingJobStatus status = Status();
  EXPECT_EQ(status.progress.samples, DataEpochs() * kTrainingSet);
  EXPECT_GE(status.result.value_or(api::ResultStatus()).accuracy.value_or(0), 0.97);
  EXPECT_EQ(status.workers.restarts, 0);
  EXPECT_EQ(status.workers.disrupted, 0);
  EXPECT_EQ(pods_.made(), size_t{kWorkers});
  EXPECT_THAT(pods_.deleted(), IsEmpty());
  EXPECT_THAT(pods_.violations(), IsEmpty());
  EXPECT_THAT(graphs_.violations(), IsEmpty());
  EXPECT_GE(graphs_.epochs().size(), 3u);

  // Nobody's training began again, and what counts was trained on.
  int64_t leased = 0;
  int64_t unleased = 0;
  for (int slot = 0; slot < kWorkers; ++slot) {
    const std::string pod = fmt::format("{}-{}-0", kJob, slot);
    SCOPED_TRACE(WorkerLog(pod));
    EXPECT_THAT(Logged(pod, "trained on "), SizeIs(1));
    EXPECT_THAT(Logged(pod, "registered, reached at 127.0.0."), SizeIs(1));
    const std::vector<int64_t> views = Logged(pod, "view of epoch ");
    EXPECT_EQ(std::ranges::adjacent_find(views, std::greater<>()), views.end());
    const int64_t more = Sum(Logged(pod, " steps; "));
    leased += Sum(Logged(pod, "trained on ")) - more;
    unleased += more;
  }
  std::printf("%ld samples count, %ld were trained on by lease, %ld without\n",
              status.progress.samples, leased, unleased);
  EXPECT_GE(leased, status.progress.samples);
  EXPECT_GT(unleased, 0);  // leases end while nobody is there to give others
}

}  // namespace
}  // namespace grapevine::e2e
