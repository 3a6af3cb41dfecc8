#include "operator/api/training_job.h"

#include "gtest/gtest.h"
#include "operator/api/validation.h"

namespace grapevine::api {
namespace {

using nlohmann::json;

TrainingJob FullJob() {
  TrainingJob job;
  job.metadata.name = "everything";
  Training& training = job.spec.training;
  training.model = Model::kLeNet5;
  training.dataset = {
      .name = DatasetName::kSynthetic, .shape = {1, 28, 28}, .classes = 3, .samples = 1234};
  training.epochs = 9;
  training.batch_size = 17;
  training.learning_rate = 0.0375;
  training.learning_rate_scaling = LearningRateScaling::kSqrt;
  training.learning_rate_schedule = {.warmup_epochs = 0.5, .milestones = {2, 4.5}, .factor = 0.3};
  training.momentum = 0.85;
  training.nesterov = false;
  training.weight_decay = 1e-5;
  training.max_gradient_norm = 0.75;
  training.seed = (int64_t{1} << 53) - 1;
  job.spec.exchange = {.per_step = 3, .encoding = Encoding::kInt8};
  job.spec.graph = {.policy = GraphPolicy::kRandomRegular, .degree = 5};
  job.spec.workers.replicas = 5;
  job.spec.workers.min_replicas = 2;
  job.spec.workers.max_replicas = 9;
  job.spec.workers.remove_first = {"everything-1-0", "everything-4-2"};
  job.spec.workers.pod_template = {{"spec", {{"containers", json::array({{{"name", "w"}}})}}}};
  job.spec.checkpoint = {.path = "/checkpoints", .every_seconds = 60, .keep = 7};
  job.spec.failure_policy.max_restarts = 4;
  job.spec.suspend = true;
  job.spec.active_deadline_seconds = 3600;
  job.spec.ttl_seconds_after_finished = 0;
  job.spec.managed_by = "kueue.x-k8s.io/multikueue";
  job.status.observed_generation = 4;
  job.status.start_time = "2024-05-01T09:30:00Z";
  job.status.completion_time = "2024-05-01T10:30:00Z";
  job.status.conditions = {{.type = kSucceeded,
                            .status = "True",
                            .reason = "Finished",
                            .message = "m",
                            .observed_generation = 4,
                            .last_transition_time = "2024-05-01T10:30:00Z"}};
  job.status.workers = {5, 4, 3, 2, 1, "grapevine.dev/job-name=everything"};
  job.status.progress = {5'000'000'000, 3, 42, 1234.5, 99};
  job.status.graph = {17, 3, 2, 0.25};
  job.status.result = ResultStatus{0.125, 0.975, 10000, "/checkpoints/final.safetensors"};
  return job;
}

TEST(TrainingJobTest, SurvivesARoundTrip) {
  const ParsedTrainingJob parsed = ParseTrainingJob(ToJson(FullJob()));
  EXPECT_EQ(Describe(parsed.violations), "");
  EXPECT_EQ(parsed.job, FullJob());
  EXPECT_EQ(ToJson(parsed.job), ToJson(FullJob()));
}

TEST(TrainingJobTest, GivesWorkersTheSameSpec) {
  const auto spec = TrainingJobSpecFromJson(json::parse(ToJson(FullJob().spec).dump()));
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(*spec, FullJob().spec);
}

TEST(TrainingJobTest, WritesNumbersWithAFractionAsStrings) {
  const json job = ToJson(FullJob());
  EXPECT_EQ(job["spec"]["training"]["learningRate"], "0.0375");
  EXPECT_EQ(job["spec"]["training"]["learningRateSchedule"]["milestones"], json({"2", "4.5"}));
  EXPECT_EQ(job["status"]["progress"]["samplesPerSecond"], "1234.5");
  EXPECT_EQ(job["status"]["result"]["accuracy"], "0.975");
}

TEST(TrainingJobTest, AResultWithoutANumberHasNone) {
  TrainingJobStatus status;
  status.result = ResultStatus{.accuracy = 0.1};
  const json written = ToJson(status);
  EXPECT_FALSE(written["result"].contains("loss"));
  EXPECT_EQ(StatusFromJson(written), status);
  EXPECT_EQ(StatusFromJson({{"result", {{"loss", "nan"}}}}).result->loss, std::nullopt);
}

TEST(TrainingJobTest, ReadsAnyStatusThatAServerMayHold) {
  const TrainingJobStatus none;
  EXPECT_EQ(StatusFromJson(json()), none);
  EXPECT_EQ(StatusFromJson(json::array({1})), none);
  EXPECT_EQ(StatusFromJson({{"workers", 3}, {"progress", {{"samples", "x"}}}, {"conditions", 4}}),
            none);
  EXPECT_EQ(StatusFromJson({{"conditions", {3}}}).conditions, std::vector<Condition>(1));
}

TEST(TrainingJobTest, KnowsTheShapeOfEachDataset) {
  EXPECT_EQ(ShapeOf({.name = DatasetName::kDigits}), (SampleShape{1, 8, 8}));
  EXPECT_EQ(ShapeOf({.name = DatasetName::kMnist}), (SampleShape{1, 28, 28}));
  EXPECT_EQ(ShapeOf({.name = DatasetName::kCifar10}), (SampleShape{3, 32, 32}));
  const Dataset synthetic{.name = DatasetName::kSynthetic, .shape = {2, 3, 4}, .classes = 7};
  EXPECT_EQ(ShapeOf(synthetic), (SampleShape{2, 3, 4}));
  EXPECT_EQ(ClassesOf(synthetic), 7);
  EXPECT_EQ(ClassesOf({.name = DatasetName::kMnist}), 10);
}

}  // namespace
}  // namespace grapevine::api
