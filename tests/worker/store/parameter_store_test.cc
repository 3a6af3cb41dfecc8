#include "worker/store/parameter_store.h"

#include <atomic>
#include <cstdint>
#include <numeric>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grapevine::store {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

std::vector<float> Counting(size_t n, float from) {
  std::vector<float> values(n);
  std::iota(values.begin(), values.end(), from);
  return values;
}

TEST(ParameterStore, CutsTheVectorIntoChunksOfWhichTheLastIsShorter) {
  const ParameterStore store(10, 4);
  EXPECT_EQ(store.elements(), 10u);
  EXPECT_EQ(store.chunks(), 3u);
  EXPECT_EQ(store.ChunkElements(0), 4u);
  EXPECT_EQ(store.ChunkElements(2), 2u);
  EXPECT_EQ(store.ChunkOffset(2), 8u);
  EXPECT_EQ(ParameterStore(8, 4).chunks(), 2u);
  EXPECT_EQ(ParameterStore(1, 4).chunks(), 1u);
}

TEST(ParameterStore, BeginsAtZero) {
  const ParameterStore store(10, 4);
  std::vector<float> all(10, 1.0f), momentum(4, 1.0f);
  EXPECT_EQ(store.Read(all), 0u);
  EXPECT_THAT(all, Each(0.0f));
  store.SnapshotMomentum(1, momentum);
  EXPECT_THAT(momentum, Each(0.0f));
}

TEST(ParameterStore, LoadsAndSnapshotsWeightsAndMomentumApart) {
  ParameterStore store(6, 4);
  store.LoadWeights(1, std::vector<float>{1, 2});
  store.LoadMomentum(1, std::vector<float>{3, 4});
  std::vector<float> weights(2), momentum(2), all(6);
  store.Snapshot(1, weights);
  store.SnapshotMomentum(1, momentum);
  store.Read(all);
  EXPECT_THAT(weights, ElementsAre(1, 2));
  EXPECT_THAT(momentum, ElementsAre(3, 4));
  EXPECT_THAT(all, ElementsAre(0, 0, 0, 0, 1, 2));
  store.Visit(1, [](std::span<const float> seen) { EXPECT_THAT(seen, ElementsAre(1, 2)); });
}

TEST(ParameterStore, ApplyGoesThroughAllChunksInOrderWithTheirOffsets) {
  ParameterStore store(10, 4);
  std::vector<size_t> offsets;
  store.Apply(0, [&](size_t offset, std::span<float> weights, std::span<float> momentum) {
    ASSERT_EQ(weights.size(), momentum.size());
    offsets.push_back(offset);
    for (size_t i = 0; i < weights.size(); ++i) weights[i] += static_cast<float>(offset + i);
    momentum[0] = 7;
  });
  EXPECT_THAT(offsets, ElementsAre(0, 4, 8));
  std::vector<float> all(10);
  store.Read(all);
  EXPECT_EQ(all, Counting(10, 0));
}

TEST(ParameterStore, ChunksLieOnCacheLines) {
  ParameterStore store(10, 3);
  store.Apply(0, [](size_t, std::span<float> weights, std::span<float> momentum) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(weights.data()) % 64, 0u);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(momentum.data()) % 64, 0u);
  });
}

TEST(ParameterStore, StalenessCountsExchangesBetweenReadAndApply) {
  ParameterStore store(4, 4);
  std::vector<float> all(4);
  store.CountExchange();
  const uint64_t read_at = store.Read(all);
  EXPECT_EQ(read_at, 1u);
  const auto nothing = [](size_t, std::span<float>, std::span<float>) {};
  EXPECT_EQ(store.Apply(read_at, nothing), 0u);
  store.CountExchange();
  store.CountExchange();
  EXPECT_EQ(store.Apply(read_at, nothing), 2u);
  EXPECT_EQ(store.mixes(), 3u);
}

TEST(ParameterStore, NothingIsBlockedWhileNobodyIsInTheWay) {
  ParameterStore store(100, 10);
  std::vector<float> all(100);
  for (int i = 0; i < 100; ++i) {
    store.Apply(store.Read(all), [](size_t, std::span<float>, std::span<float>) {});
  }
  EXPECT_EQ(store.blocked(), Duration::zero());
}

TEST(ParameterStore, WaitingForAMixIsMeasured) {
  ParameterStore store(4, 4);
  std::jthread mixer([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      store.Mix(0, [](std::span<float>) { std::this_thread::sleep_for(1ms); });
    }
  });
  std::vector<float> all(4);
  // Who is not scheduled in time does not find the mixer in the way.
  const Time deadline = std::chrono::steady_clock::now() + 60s;
  while (store.blocked() == Duration::zero() && std::chrono::steady_clock::now() < deadline) {
    store.Read(all);
  }
  EXPECT_GT(store.blocked(), Duration::zero());
}

TEST(ParameterStore, NoUpdateIsLostBetweenTrainerAndMixer) {
  constexpr size_t kElements = 1000;
  constexpr int kRounds = 500;
  ParameterStore store(kElements, 64);
  {
    std::jthread trainer([&] {
      std::vector<float> all(kElements);
      for (int i = 0; i < kRounds; ++i) {
        store.Apply(store.Read(all), [](size_t, std::span<float> weights, std::span<float>) {
          for (float& w : weights) w += 1;
        });
      }
    });
    std::jthread mixer([&] {
      for (int i = 0; i < kRounds; ++i) {
        for (uint32_t c = 0; c < store.chunks(); ++c) {
          store.Mix(c, [](std::span<float> weights) {
            for (float& w : weights) w += 2;
          });
        }
        store.CountExchange();
      }
    });
  }
  std::vector<float> all(kElements);
  EXPECT_EQ(store.Read(all), static_cast<uint64_t>(kRounds));
  EXPECT_THAT(all, Each(3.0f * kRounds));
}

TEST(ParameterStore, ASnapshotOfAChunkIsOfOneMoment) {
  ParameterStore store(256, 256);
  std::atomic<bool> stop = false;
  std::jthread writer([&] {
    while (!stop) {
      store.Mix(0, [](std::span<float> weights) {
        for (float& w : weights) w += 1;
      });
    }
  });
  std::vector<float> seen(256);
  for (int i = 0; i < 2000; ++i) {
    store.Snapshot(0, seen);
    ASSERT_THAT(seen, Each(seen[0]));
  }
  stop = true;
}

}  // namespace
}  // namespace grapevine::store
