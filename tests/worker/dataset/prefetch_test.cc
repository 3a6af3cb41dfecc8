#include "worker/dataset/prefetch.h"

#include <gtest/gtest.h>

#include <atomic>
#include <semaphore>
#include <thread>

#include "worker/dataset/permutation.h"
#include "worker/dataset/synthetic.h"

namespace grapevine::dataset {
namespace {

const SyntheticDataset& Ten() {
  static const SyntheticDataset dataset(
      {.shape = {1, 2, 2}, .classes = 3, .train_samples = 10, .test_samples = 3});
  return dataset;
}

// Draws batches of 4 of 10 samples, data epoch after data epoch, `count` of them.
std::function<std::optional<Draw>()> Count(int64_t count) {
  return [next = int64_t{0}, count]() mutable -> std::optional<Draw> {
    if (next == count) return std::nullopt;
    const int64_t n = next++;
    return Draw{.data_epoch = n / 3, .batch = n % 3, .lease = 1, .position = n};
  };
}

TEST(Prefetch, PreparesTheBatchesOfThePermutationInOrder) {
  Prefetch prefetch({.batch_size = 4, .seed = 5}, Ten(), Count(12));
  prefetch.Start();
  std::vector<float> image(4);
  for (int64_t n = 0; n < 12; ++n) {
    const PreparedBatch* batch = prefetch.Next();
    ASSERT_NE(batch, nullptr);
    EXPECT_EQ(batch->draw.position, n);
    ASSERT_EQ(batch->samples, n % 3 == 2 ? 2 : 4);
    const auto order = Permutation(5, n / 3, 10);
    for (int64_t i = 0; i < batch->samples; ++i) {
      EXPECT_EQ(batch->labels[i], Ten().Get(Split::kTrain, order[4 * (n % 3) + i], image));
      EXPECT_TRUE(std::equal(image.begin(), image.end(), batch->images.begin() + 4 * i));
    }
    prefetch.Release();
  }
}

TEST(Prefetch, DataEpochsMayAlternate) {
  Prefetch prefetch({.batch_size = 4, .seed = 5}, Ten(),
                    [n = int64_t{0}]() mutable -> std::optional<Draw> {
                      return Draw{.data_epoch = 100 - n++ % 3, .batch = 0};
                    });
  prefetch.Start();
  std::vector<float> image(4);
  for (int64_t n = 0; n < 9; ++n) {
    const PreparedBatch* batch = prefetch.Next();
    const auto order = Permutation(5, 100 - n % 3, 10);
    EXPECT_EQ(batch->labels[0], Ten().Get(Split::kTrain, order[0], image));
    prefetch.Release();
  }
}

TEST(Prefetch, IsNoFurtherAheadThanItsDepth) {
  std::atomic<int> drawn = 0;
  std::counting_semaphore<> asked{0};
  Prefetch prefetch({.batch_size = 4, .depth = 2}, Ten(), [&]() -> std::optional<Draw> {
    ++drawn;
    asked.release();
    return Draw{};
  });
  prefetch.Start();
  asked.acquire();
  asked.acquire();
  ASSERT_NE(prefetch.Next(), nullptr);
  EXPECT_EQ(drawn, 2);
  prefetch.Release();
  asked.acquire();
  EXPECT_LE(drawn, 3);
}

TEST(Prefetch, InterruptEndsOneNext) {
  std::counting_semaphore<> gate{0};
  Prefetch prefetch({.batch_size = 4}, Ten(), [&]() -> std::optional<Draw> {
    gate.acquire();
    return Draw{};
  });
  prefetch.Start();
  std::thread interrupter([&] { prefetch.Interrupt(); });
  EXPECT_EQ(prefetch.Next(), nullptr);
  interrupter.join();
  gate.release(5);
  EXPECT_NE(prefetch.Next(), nullptr);
}

TEST(Prefetch, ABatchNotReleasedIsGivenAgain) {
  Prefetch prefetch({.batch_size = 4}, Ten(), Count(3));
  prefetch.Start();
  const PreparedBatch* batch = prefetch.Next();
  EXPECT_EQ(prefetch.Next(), batch);
}

TEST(Prefetch, StopsWithBatchesUnused) {
  for (int i = 0; i < 20; ++i) {
    Prefetch prefetch({.batch_size = 4}, Ten(), Count(1000));
    prefetch.Start();
    if (i % 2 == 0) prefetch.Next();
    prefetch.Stop();
    prefetch.Stop();
  }
}

}  // namespace
}  // namespace grapevine::dataset
