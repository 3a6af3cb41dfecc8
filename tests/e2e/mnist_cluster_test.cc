// MNIST by LeNet-5 on a cluster of two machines with a scheduler: the job is scaled out, and one of
// the machines is drained and comes back, while it trains.

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/api/training_job.h"
#include "operator/training_job/apply.h"
#include "tests/cluster/places.h"
#include "tests/e2e/cluster_fixture.h"

namespace grapevine::e2e {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

const controller::Resource kNodes = {"", "v1", "nodes", /*cluster_wide=*/true};

constexpr char kJob[] = "mnist-lenet5";
constexpr int kEpochs = 5;  // time for what is to happen, also on a fast machine
constexpr double kAccuracy = 0.985;
constexpr Duration kLimit = 150s;  // of a wait
constexpr Duration kTurn = 50ms;

// The folder with the four files: what GRAPEVINE_MNIST names, else the one beside this checkout.
std::string Mnist() {
  const char* const named = std::getenv("GRAPEVINE_MNIST");
  return named != nullptr ? named : cluster::SourceRoot() + "/../shared/datasets/mnist";
}

class MnistTest : public ClusterTest {
 protected:
  void SetUp() override {
    if (!std::filesystem::is_directory(Mnist())) {
      GTEST_SKIP() << "no MNIST: GRAPEVINE_MNIST names the folder with its files";
    }
    ClusterTest::SetUp();
    ASSERT_TRUE(plane_.StartControllerManager().ok());
    ASSERT_TRUE(plane_.StartScheduler().ok());
  }

  // With room for so many pods.
  void AddMachine(const std::string& name, int pods) {
    const json room = {{"cpu", "8"}, {"memory", "64Gi"}, {"pods", std::to_string(pods)}};
    const auto made = client_->Create(
        kNodes, {{"apiVersion", "v1"},
                 {"kind", "Node"},
                 {"metadata", {{"name", name}}},
                 {"status",
                  {{"capacity", room},
                   {"allocatable", room},
                   {"conditions",
                    {{{"type", "Ready"}, {"status", "True"}, {"reason", "KubeletReady"}}}}}}});
    ASSERT_TRUE(made.ok()) << made.status();
    // A server taints a new node until someone finds it ready.
    const auto ready = client_->Patch(kNodes, "", name, {{"spec", {{"taints", nullptr}}}});
    ASSERT_TRUE(ready.ok()) << ready.status();
    machines_.push_back(std::make_unique<local::ProcessKubelet>(
        client_.get(), &clock_,
        local::ProcessKubeletOptions{.name_space = name_space_,
                                     .node_name = name,
                                     .binds = false,
                                     .log_directory = plane_.folder()}));
    machines_.back()->Start();
  }
  size_t RunningOn(size_t machine) { return machines_[machine]->Running().size(); }

  static std::string PodName(int slot) { return fmt::format("{}-{}-0", kJob, slot); }

  api::TrainingJobStatus Status() {
    const auto job = client_->Get(training_job::kTrainingJobs, name_space_, kJob);
    EXPECT_TRUE(job.ok()) << job.status();
    return job.ok() ? api::StatusFromJson(job->value("status", json::object()))
                    : api::TrainingJobStatus();
  }
  // False, and a failure of the test, when it does not come about, or not before the job's end.
  bool Await(const std::string& what,
             const std::function<bool(const api::TrainingJobStatus&)>& done) {
    const Time deadline = clock_.Now() + kLimit;
    while (true) {
      const api::TrainingJobStatus status = Status();
      const bool came = done(status);
      const bool over = api::IsTrue(status.conditions, api::kSucceeded) ||
                        api::IsTrue(status.conditions, api::kFailed);
      if (came || over || clock_.Now() > deadline) {
        std::printf("%6.2f s  %3d %%  %s\n", ToSeconds(clock_.Now() - begun_),
                    status.progress.percent, what.c_str());
        EXPECT_TRUE(came) << what << " does not come";
        return came;
      }
      std::this_thread::sleep_for(kTurn);
    }
  }
  bool AwaitMembers(int members) {
    return Await(fmt::format("{} members", members),
                 [&](const auto& status) { return status.workers.members == members; });
  }

  const Time begun_ = clock_.Now();
  std::vector<std::unique_ptr<local::ProcessKubelet>> machines_;
};

TEST_F(MnistTest, LearnsWhatItShouldThoughScaledAndDrained) {
  auto grapevine = StartOperator("operator");
  const std::string a = name_space_ + "-a";
  const std::string b = name_space_ + "-b";
  AddMachine(a, 4);
  json job = Example("mnist-lenet5.yaml");
  job["spec"]["training"]["dataset"]["path"] = std::filesystem::canonical(Mnist());
  job["spec"]["training"]["epochs"] = kEpochs;
  job["spec"]["training"]["learningRateSchedule"]["milestones"] = {kEpochs - 1};
  job["spec"]["workers"]["minReplicas"] = 4;
  const auto applied = Kubectl({"apply"}, job.dump());
  ASSERT_TRUE(applied.ok()) << applied.status();
  ASSERT_TRUE(AwaitMembers(4)) << grapevine->Log();

  // Two more wait for a machine, and nobody for them.
  ASSERT_TRUE(Kubectl({"scale", fmt::format("tj/{}", kJob), "--replicas=6"}).ok());
  AddMachine(b, 4);
  ASSERT_TRUE(AwaitMembers(6)) << grapevine->Log();
  EXPECT_EQ(RunningOn(0), 4u);
  EXPECT_EQ(RunningOn(1), 2u);

  const auto drained = Kubectl({"drain", b, "--ignore-daemonsets", "--timeout=50s"});
  ASSERT_TRUE(drained.ok()) << drained.status() << grapevine->Log();
  ASSERT_TRUE(AwaitMembers(4)) << grapevine->Log();
  EXPECT_EQ(RunningOn(0), 4u);
  EXPECT_EQ(RunningOn(1), 0u);
  // No more may go: the job's budget says so.
  const json eviction = {{"apiVersion", "policy/v1"},
                         {"kind", "Eviction"},
                         {"metadata", {{"name", PodName(0)}, {"namespace", name_space_}}}};
  const auto evicted = client_->Create({"", "v1", "pods/" + PodName(0) + "/eviction"}, eviction);
  EXPECT_THAT(std::string(evicted.status().message()), HasSubstr("disruption budget"));
  ASSERT_TRUE(Kubectl({"uncordon", b}).ok());
  ASSERT_TRUE(AwaitMembers(6)) << grapevine->Log();

  ASSERT_TRUE(Await("succeeded", [](const auto& status) {
    return api::IsTrue(status.conditions, api::kSucceeded);
  })) << grapevine->Log();
  const api::TrainingJobStatus status = Status();
  const double accuracy = status.result.value_or(api::ResultStatus()).accuracy.value_or(0);
  std::printf("accuracy %.2f %%\n", 100 * accuracy);
  EXPECT_GE(accuracy, kAccuracy);
  EXPECT_EQ(status.progress.samples, kEpochs * 60'000);
  EXPECT_EQ(status.workers.disrupted, 2);
  EXPECT_EQ(status.workers.restarts, 0);
  for (const int slot : {4, 5}) {
    std::ostringstream log;
    log << std::ifstream(plane_.folder() + "/" + PodName(slot) + ".log").rdbuf();
    EXPECT_THAT(log.str(), HasSubstr("trained on")) << "it was not let leave in order";
  }
}

}  // namespace
}  // namespace grapevine::e2e
