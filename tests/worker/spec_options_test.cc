#include "worker/spec_options.h"

#include "gtest/gtest.h"

namespace grapevine {
namespace {

TEST(SpecOptions, EachPartGetsWhatTheSpecSays) {
  api::TrainingJobSpec spec;
  spec.training.batch_size = 16;
  spec.training.seed = 3;
  spec.training.learning_rate = 0.5;
  spec.training.learning_rate_schedule.milestones = {4, 5};
  spec.training.momentum = 0.25;
  const train::TrainerOptions trainer = TrainerOptionsOf(spec.training);
  EXPECT_EQ(trainer.batch_size, 16);
  EXPECT_EQ(trainer.seed, 3u);
  EXPECT_EQ(trainer.sgd.momentum, 0.25f);
  EXPECT_EQ(trainer.schedule.learning_rate, 0.5);
  EXPECT_EQ(trainer.schedule.milestones.size(), 2u);

  spec.training.dataset.path = "/data";
  spec.training.dataset.classes = 7;
  const dataset::Source source = SourceOf(spec.training.dataset);
  EXPECT_EQ(source.name, api::ToString(spec.training.dataset.name));
  EXPECT_EQ(source.path, "/data");
  EXPECT_EQ(source.classes, 7);
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
}  // namespace grapevine
