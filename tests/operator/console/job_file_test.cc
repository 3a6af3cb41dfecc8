#include "operator/console/job_file.h"

#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grapevine::console {
namespace {

using ::testing::HasSubstr;

constexpr char kWorker[] = "/opt/grapevine-worker";
constexpr char kJob[] = R"(
apiVersion: grapevine.dev/v1alpha1
kind: TrainingJob
metadata: {name: small}
spec:
  training: {model: mlp, dataset: {name: digits}, epochs: 2}
  workers: {replicas: 4, minReplicas: 3, maxReplicas: 6}
)";

class JobFileTest : public ::testing::Test {
 protected:
  ~JobFileTest() override { std::filesystem::remove(path_); }

  absl::StatusOr<JobFile> Load(const std::string& text, JobFileOptions options = {}) {
    std::ofstream(path_) << text;
    options.file = path_;
    return LoadJobFile(options, kWorker);
  }

  const std::string path_ = testing::TempDir() + "/job_file_" +
                            testing::UnitTest::GetInstance()->current_test_info()->name() + ".yaml";
};

TEST_F(JobFileTest, FillsInWhatARunNeeds) {
  const auto file = Load(kJob);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->job.metadata.name, "small");
  EXPECT_EQ(file->object["metadata"]["namespace"], "default");
  EXPECT_EQ(file->job.spec.checkpoint.path, std::filesystem::absolute("checkpoints"));
}

TEST_F(JobFileTest, ANamespaceOfNothingIsTheDefaultOne) {
  std::string text = kJob;
  text.replace(text.find("name: small"), 11, "name: small, namespace: ");
  const auto file = Load(text);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->object["metadata"]["namespace"], "default");
}

TEST_F(JobFileTest, OnlyAnEmptyPathSwitchesCheckpointsOff) {
  const auto path = [this](const std::string& value) {
    return Load(kJob + ("  checkpoint: {path: " + value + "}\n"))->job.spec.checkpoint.path;
  };
  EXPECT_EQ(path(""), std::filesystem::absolute("checkpoints"));
  EXPECT_EQ(path("''"), "");
}

TEST_F(JobFileTest, LeavesOutWhatWouldEndTheJobBeforeTheRun) {
  std::string text = kJob;
  text.replace(text.find("name: small"), 11, "name: small, ownerReferences: [{uid: stranger}]");
  const auto file = Load(text, {.set = {"ttlSecondsAfterFinished=0"}});
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_FALSE(file->object["metadata"].contains("ownerReferences"));
  EXPECT_FALSE(file->object["spec"].contains("ttlSecondsAfterFinished"));
  EXPECT_FALSE(file->job.spec.ttl_seconds_after_finished);
}

TEST_F(JobFileTest, RunsTheWorkerWhereTheTemplateNamesNoCommand) {
  const auto command = [this](const std::string& pod_template) {
    const auto file = Load(kJob, {.set = {"workers.template=" + pod_template}});
    EXPECT_TRUE(file.ok()) << file.status();
    return file->object["spec"]["workers"]["template"]["spec"]["containers"][0]["command"];
  };
  const auto worker = nlohmann::json::array({kWorker});
  EXPECT_EQ(Load(kJob)->object.at("/spec/workers/template/spec/containers/0/command"_json_pointer),
            worker);
  for (const char* open :
       {"", "{}", "{spec: }", "{spec: {containers: }}", "{spec: {containers: []}}",
        "{spec: {containers: [null]}}", "{spec: {containers: [{name: w}]}}",
        "{spec: {containers: [{name: w, command: }]}}",
        "{spec: {containers: [{name: w, command: []}]}}"}) {
    EXPECT_EQ(command(open), worker) << open;
  }
  EXPECT_EQ(command("{spec: {containers: [{command: [mine]}]}}"), nlohmann::json::array({"mine"}));
}

TEST_F(JobFileTest, WorkersWidenTheBounds) {
  EXPECT_EQ(Load(kJob, {.workers = 8})->job.spec.workers.max_replicas, 8);
  const auto fewer = Load(kJob, {.workers = 1});
  EXPECT_EQ(fewer->job.spec.workers.replicas, 1);
  EXPECT_EQ(fewer->job.spec.workers.min_replicas, 1);
  EXPECT_EQ(fewer->job.spec.workers.max_replicas, 6);
}

TEST_F(JobFileTest, WorkersDoNotHideABoundThatIsNone) {
  for (const char* bound : {"minReplicas: 3", "maxReplicas: 6"}) {
    for (const char* wrong : {"-5", "0", "10001", "4294967300", "9223372036854775807"}) {
      std::string text = kJob;
      const std::string name(bound, std::string_view(bound).find(' '));
      text.replace(text.find(bound), std::string_view(bound).size(), name + " " + wrong);
      const absl::Status status = Load(text, {.workers = 4}).status();
      EXPECT_THAT(std::string(status.message()), HasSubstr(name + " found " + wrong));
    }
  }
}

TEST_F(JobFileTest, OverridesComeLast) {
  const auto file = Load(kJob, {.workers = 2, .set = {"training.epochs=7", "workers.replicas=5"}});
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->job.spec.training.epochs, 7);
  EXPECT_EQ(file->job.spec.workers.replicas, 5);
}

TEST_F(JobFileTest, SaysAllThatIsWrongAtOnce) {
  const auto file = Load(kJob, {.set = {"training.epochs=-1", "training.speed=fast"}});
  ASSERT_EQ(file.status().code(), absl::StatusCode::kInvalidArgument);
  const std::string message(file.status().message());
  EXPECT_THAT(message, HasSubstr("spec.training.epochs"));
  EXPECT_THAT(message, HasSubstr("spec.training.speed"));
}

TEST_F(JobFileTest, RefusesAJobThatSomebodyElseWouldHaveToStart) {
  const auto file = Load(kJob, {.set = {"suspend=true", "managedBy=another"}});
  ASSERT_EQ(file.status().code(), absl::StatusCode::kInvalidArgument);
  const std::string message(file.status().message());
  EXPECT_THAT(message, HasSubstr("spec.suspend: found true, allowed is false"));
  EXPECT_THAT(message, HasSubstr("spec.managedBy: found \"another\", allowed is nothing"));
}

TEST_F(JobFileTest, SaysWhyAFileCannotBeRead) {
  const auto message = [](const std::string& path) {
    const absl::Status status = LoadJobFile({.file = path}, kWorker).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    return std::string(status.message());
  };
  EXPECT_THAT(message(std::string(5000, 'x')), HasSubstr("File name too long"));
  EXPECT_THAT(message("/dev/zero"), HasSubstr("more than 1048576 bytes"));
  std::filesystem::create_symlink(path_, path_);
  EXPECT_THAT(message(path_), HasSubstr("symbolic links"));
}

TEST_F(JobFileTest, RefusesTextThatIsNotUtf8WhereverItComesFrom) {
  const auto message = [this](JobFileOptions options) {
    const absl::Status status = Load(kJob, std::move(options)).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    return std::string(status.message());
  };
  EXPECT_THAT(message({.dataset_path = "/d\xff"}), HasSubstr("spec.training.dataset.path: found"));
  EXPECT_THAT(message({.set = {"checkpoint.path=/c\xff"}}), HasSubstr("checkpoint.path=/c"));
  EXPECT_THAT(message({.set = {"workers.template.a\xff=1"}}),
              HasSubstr("spec.workers.template: found the field"));
  std::ofstream(path_) << kJob;
  EXPECT_THAT(std::string(LoadJobFile({.file = path_}, "/w\xff").status().message()),
              HasSubstr("spec.workers.template.spec.containers[0].command[0]: found"));
}

TEST_F(JobFileTest, NamesAFileThatIsMissingOrNoYaml) {
  EXPECT_EQ(LoadJobFile({.file = "/nonexistent.yaml"}, kWorker).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(LoadJobFile({.file = testing::TempDir()}, kWorker).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Load("a: [b").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Load("just text").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Load("").status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace grapevine::console
