#include <signal.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/e2e/run_process.h"
#include "tests/short_tests.h"

namespace grapevine::e2e {
namespace {

using ::testing::HasSubstr;

std::vector<std::string> Digits(int workers, int epochs) {
  return {GRAPEVINE_SOURCE_DIR "/examples/digits.yaml", "--workers", std::to_string(workers),
          "--set", "training.epochs=" + std::to_string(epochs)};
}

std::vector<std::string> operator+(std::vector<std::string> all, std::vector<std::string> more) {
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

TEST(Run, TrainsToSuccessAndReportsIt) {
  const int epochs = ShortTests() ? 4 : 20;
  RunProcess run(Digits(2, epochs));
  ASSERT_EQ(run.Wait(), 0) << run.Output();
  EXPECT_THAT(run.Output(), HasSubstr("metrics at http://127.0.0.1:"));
  const auto report = run.Report();
  EXPECT_EQ(report["state"], "Succeeded");
  EXPECT_GT(report["accuracy"], ShortTests() ? 0.5 : 0.9);
  EXPECT_EQ(report["samples"], 1437 * epochs - epochs * (1437 % 16 == 1 ? 1 : 0));
  EXPECT_EQ(report["members"]["joined"], 2);
  EXPECT_EQ(report["members"]["lost"], 0);
  EXPECT_GT(report["exchanges"]["completed"], 0);
  // A machine that stands still for a second tears the exchange under way.
  EXPECT_LT(20 * report["exchanges"]["torn"].get<int>(), report["exchanges"]["completed"]);
  EXPECT_EQ(report["per_member"].size(), 2u);
  EXPECT_TRUE(std::filesystem::exists(report["final_checkpoint"].get<std::string>()));
}

TEST(Run, OneWorkerAloneTrainsToo) {
  RunProcess run(Digits(1, 2));
  ASSERT_EQ(run.Wait(), 0) << run.Output();
  EXPECT_EQ(run.Report()["exchanges"]["completed"], 0);
}

TEST(Run, EndsThoughItsJobAsksToBeClearedAway) {
  RunProcess run(Digits(1, 2) + std::vector<std::string>{"--set", "ttlSecondsAfterFinished=0"});
  ASSERT_EQ(run.Wait(), 0) << run.Output();
  EXPECT_EQ(run.Report()["state"], "Succeeded");
}

TEST(Run, GoesOnWhileWorkersJoinDieAndStandStill) {
  RunProcess run(Digits(3, ShortTests() ? 150 : 800) +
                 std::vector<std::string>{
                     "--events", "10%:scale=4,30%:kill=1,40%:slow=1x5,50%:pause=1x1,70%:scale=3"});
  ASSERT_EQ(run.Wait(), 0) << run.Output();
  const auto report = run.Report();
  EXPECT_EQ(report["state"], "Succeeded");
  EXPECT_GE(report["members"]["lost"], 1);
  EXPECT_GE(report["members"]["joined"], 5);
  ASSERT_EQ(report["events"].size(), 5u);
  for (const auto& event : report["events"]) EXPECT_EQ(event["fired"], true) << event;
  EXPECT_TRUE(report["events"][1]["noticed_after"].is_number());
  EXPECT_TRUE(report["events"][1]["published_after"].is_number());
}

TEST(Run, AnEventThatNeverCameDueIsListedAndMakesExitOne) {
  RunProcess run(Digits(1, 1) + std::vector<std::string>{"--events", "9999s:kill=1"});
  EXPECT_EQ(run.Wait(), 1) << run.Output();
  EXPECT_EQ(run.Report()["state"], "Succeeded");
  EXPECT_EQ(run.Report()["events"][0]["fired"], false);
}

TEST(Run, InterruptOnceStopsInOrderAndResumeGoesOn) {
  const int epochs = ShortTests() ? 200 : 400;
  RunProcess run(Digits(2, epochs));
  ASSERT_TRUE(run.WaitForOutput("at data epoch")) << run.Output();
  run.Signal(SIGINT);
  ASSERT_EQ(run.Wait(), 130) << run.Output();
  const auto report = run.Report();
  EXPECT_EQ(report["state"], "Stopped");
  const std::string checkpoint = report["final_checkpoint"];
  ASSERT_TRUE(std::filesystem::exists(checkpoint)) << run.Output();
  EXPECT_TRUE(run.Workers().empty());

  RunProcess rest(Digits(2, epochs) +
                  std::vector<std::string>{"--resume", report["uid"], "--set",
                                           "checkpoint.path=" + run.checkpoints()});
  ASSERT_EQ(rest.Wait(), 0) << rest.Output();
  const auto whole = rest.Report();
  EXPECT_EQ(whole["state"], "Succeeded");
  EXPECT_EQ(whole["uid"], report["uid"]);
  EXPECT_EQ(whole["samples"], 1437 * epochs);
  int64_t trained = 0;
  for (const auto& member : whole["per_member"]) trained += member["samples"].get<int64_t>();
  EXPECT_GE(trained, 1437 * epochs - report["samples"].get<int64_t>());
  EXPECT_LT(trained, 1437 * epochs);
}

TEST(Run, AnotherModelCannotGoOnFromACheckpoint) {
  RunProcess run(Digits(1, 1));
  ASSERT_EQ(run.Wait(), 0) << run.Output();
  RunProcess rest(Digits(1, 2) + std::vector<std::string>{"--resume", run.Report()["uid"], "--set",
                                                          "checkpoint.path=" + run.checkpoints(),
                                                          "--set",
                                                          "training.dataset.name=synthetic",
                                                          "--set", "training.dataset.classes=5"});
  EXPECT_EQ(rest.Wait(), 2) << rest.Output();
  EXPECT_EQ(rest.Report()["state"], "Failed");
  EXPECT_THAT(rest.Output(), HasSubstr("layout hash"));
}

TEST(Run, WithoutACheckpointThereIsNothingToResume) {
  RunProcess run(Digits(2, 100000));
  ASSERT_TRUE(run.WaitForOutput("members")) << run.Output();
  run.Signal(SIGKILL);
  run.Wait();
  const std::filesystem::directory_iterator runs(run.checkpoints());
  ASSERT_NE(runs, std::filesystem::directory_iterator());
  const std::string uid = runs->path().filename();
  RunProcess rest(
      Digits(2, 100000) +
      std::vector<std::string>{"--resume", uid, "--set", "checkpoint.path=" + run.checkpoints()});
  EXPECT_EQ(rest.Wait(), 2) << rest.Output();
  EXPECT_THAT(rest.Output(), HasSubstr("--resume " + uid));
}

TEST(Run, EveryWorkerThatWasPausedComesBack) {
  RunProcess run(Digits(4, 100000));
  ASSERT_TRUE(run.WaitForOutput("member 4")) << run.Output();
  std::vector<pid_t> paused = run.Workers();
  paused.resize(3);
  for (const pid_t worker : paused) kill(worker, SIGSTOP);
  EXPECT_TRUE(run.WaitForOutput(" lost: ", 3)) << run.Output();
  for (const pid_t worker : paused) kill(worker, SIGCONT);
  EXPECT_TRUE(run.WaitForOutput("member 7")) << run.Output();
  run.Signal(SIGINT);
  EXPECT_EQ(run.Wait(), 130) << run.Output();
  EXPECT_EQ(run.Report()["members"]["lost"], 3);
}

TEST(Run, InterruptTwiceStopsAtOnce) {
  RunProcess run(Digits(2, 100000));
  ASSERT_TRUE(run.WaitForOutput("joined")) << run.Output();
  run.Signal(SIGINT);
  run.Signal(SIGTERM);
  EXPECT_EQ(run.Wait(), 130) << run.Output();
}

TEST(Run, LeavesNoWorkerBehindWhenItIsKilled) {
  RunProcess run(Digits(3, 100000));
  ASSERT_TRUE(run.WaitForWorkers(3)) << run.Output();
  const auto workers = run.Workers();
  run.Signal(SIGKILL);
  EXPECT_EQ(run.Wait(), 128 + SIGKILL);
  for (const pid_t worker : workers) {
    for (int i = 0; i < 3000 && IsAlive(worker); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_FALSE(IsAlive(worker));
  }
}

TEST(Run, ReplacesAWorkerThatWasKilledFromOutside) {
  RunProcess run(Digits(3, 100000));
  ASSERT_TRUE(run.WaitForOutput("member 3")) << run.Output();
  kill(run.Workers().at(0), SIGKILL);
  EXPECT_TRUE(run.WaitForOutput("lost")) << run.Output();
  EXPECT_TRUE(run.WaitForOutput("member 4")) << run.Output();
  run.Signal(SIGINT);
  EXPECT_EQ(run.Wait(), 130);
  EXPECT_EQ(run.Report()["members"]["lost"], 1);
}

struct BadInput {
  const char* name;
  std::vector<std::string> arguments;
  std::vector<std::string> said;

  // Instead of the bytes, in the names of the tests.
  friend void PrintTo(const BadInput& input, std::ostream* out) { *out << input.name; }
};

class BadInputTest : public ::testing::TestWithParam<BadInput> {};

TEST_P(BadInputTest, ExitsWithTwoAndSaysWhatIsAllowed) {
  RunProcess run(GetParam().arguments);
  EXPECT_EQ(run.Wait(), 2) << run.Output();
  for (const std::string& text : GetParam().said) EXPECT_THAT(run.Output(), HasSubstr(text));
}

INSTANTIATE_TEST_SUITE_P(
    Run, BadInputTest,
    ::testing::Values(
        BadInput{"FieldsOfEveryKind",
                 Digits(2, 3) + std::vector<std::string>{"--set", "training.batchSize=0", "--set",
                                                         "training.speed=9", "--set",
                                                         "exchange.encoding=Float8"},
                 {"spec.training.batchSize", "spec.training.speed", "spec.exchange.encoding"}},
        BadInput{"Events",
                 Digits(2, 3) + std::vector<std::string>{"--events", "50%:dance=1"},
                 {"--events", "50%:dance=1", "T:kill=N"}},
        BadInput{"ScaleOutOfBounds",
                 Digits(2, 3) + std::vector<std::string>{"--events", "50%:scale=999"},
                 {"--events", "scale=999", "maxReplicas"}},
        BadInput{"UnknownRunToResume",
                 Digits(1, 1) + std::vector<std::string>{"--resume", "no-such-uid"},
                 {"--resume no-such-uid", "checkpoints"}},
        BadInput{"ReportInNoFolder",
                 Digits(1, 1) + std::vector<std::string>{"--report", "/nonexistent/report.json"},
                 {"--report /nonexistent/report.json", "No such file or directory"}},
        BadInput{"NoSuchFile", {"/nonexistent/job.yaml"}, {"/nonexistent/job.yaml"}},
        BadInput{"NoDataset",
                 {GRAPEVINE_SOURCE_DIR "/examples/mnist-lenet5.yaml", "--dataset-path",
                  "/nonexistent", "--workers", "1"},
                 {"/nonexistent"}},
        BadInput{"PathThatIsNoText",
                 Digits(1, 1) + std::vector<std::string>{"--dataset-path", "/d\xff"},
                 {"spec.training.dataset.path", "UTF-8"}},
        BadInput{"MetricsNowhere",
                 Digits(1, 1) + std::vector<std::string>{"--metrics", "foo"},
                 {"--metrics foo", "host:port"}},
        BadInput{"UnknownOption", Digits(1, 1) + std::vector<std::string>{"--dance"}, {"--dance"}}),
    [](const auto& found) { return found.param.name; });

TEST(Run, AMalformedDatasetIsBadInput) {
  const std::filesystem::path folder =
      std::filesystem::path(testing::TempDir()) / "grapevine_malformed_mnist";
  std::filesystem::create_directories(folder);
  for (const char* file : {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                           "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}) {
    std::ofstream(folder / file) << "no images here";
  }
  RunProcess run({GRAPEVINE_SOURCE_DIR "/examples/mnist-lenet5.yaml", "--dataset-path", folder,
                  "--workers", "2"});
  EXPECT_EQ(run.Wait(), 2) << run.Output();
  EXPECT_THAT(run.Output(), HasSubstr("train-images-idx3-ubyte"));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace grapevine::e2e
