#include "worker/assembly/spec_options.h"

#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace grapevine::assembly {
namespace {

TEST(SpecOptions, EachPartGetsWhatTheSpecSays) {
  api::TrainingJobSpec spec;
  spec.training.batch_size = 16;
  spec.training.seed = 3;
  spec.training.learning_rate = 0.5;
  spec.training.learning_rate_schedule = {
      .warmup_epochs = 1.5, .milestones = {4, 5}, .factor = 0.75};
  spec.training.max_gradient_norm = 2.5;
  spec.training.momentum = 0.25;
  spec.training.weight_decay = 0.125;
  const train::TrainerOptions trainer = TrainerOptionsOf(spec.training);
  EXPECT_EQ(trainer.batch_size, 16);
  EXPECT_EQ(trainer.seed, 3u);
  EXPECT_EQ(trainer.sgd.momentum, 0.25f);
  EXPECT_EQ(trainer.sgd.weight_decay, 0.125f);
  EXPECT_EQ(trainer.schedule.learning_rate, 0.5);
  EXPECT_EQ(trainer.schedule.warmup_data_epochs, 1.5);
  EXPECT_EQ(trainer.schedule.milestones, (std::vector<double>{4, 5}));
  EXPECT_EQ(trainer.schedule.factor, 0.75);
  EXPECT_EQ(trainer.max_gradient_norm, 2.5);
  for (const auto& [asked, taken] :
       {std::pair{api::LearningRateScaling::kLinear, optimizer::Scaling::kLinear},
        {api::LearningRateScaling::kSqrt, optimizer::Scaling::kSqrt},
        {api::LearningRateScaling::kNone, optimizer::Scaling::kNone}}) {
    spec.training.learning_rate_scaling = asked;
    EXPECT_EQ(TrainerOptionsOf(spec.training).schedule.scaling, taken);
  }
  for (const bool nesterov : {false, true}) {
    spec.training.nesterov = nesterov;
    EXPECT_EQ(TrainerOptionsOf(spec.training).sgd.nesterov, nesterov);
  }

  spec.training.dataset = {.name = api::DatasetName::kSynthetic,
                           .path = "/data",
                           .shape = {3, 4, 5},
                           .classes = 7,
                           .samples = 600};
  const dataset::Source source = SourceOf(spec.training.dataset);
  EXPECT_EQ(source.name, "synthetic");
  EXPECT_EQ(source.path, "/data");
  EXPECT_EQ(source.shape, (dataset::Shape{.channels = 3, .height = 4, .width = 5}));
  EXPECT_EQ(source.classes, 7);
  EXPECT_EQ(source.samples, 600);
}

TEST(SpecOptions, EveryEncodingHasItsNameOnTheWire) {
  api::ExchangeSpec exchange;
  exchange.per_step = 2;
  for (const auto& [asked, wire] : {std::pair{api::Encoding::kFloat32, gossip::Encoding::kFloat32},
                                    {api::Encoding::kBFloat16, gossip::Encoding::kBFloat16},
                                    {api::Encoding::kInt8, gossip::Encoding::kInt8}}) {
    exchange.encoding = asked;
    EXPECT_EQ(ExchangePolicyOf(exchange),
              (gossip::ExchangePolicy{.per_step = 2, .encoding = wire}));
  }
}

}  // namespace
}  // namespace grapevine::assembly
