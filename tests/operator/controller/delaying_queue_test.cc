#include "operator/controller/delaying_queue.h"

#include <atomic>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grapevine::controller {
namespace {

using ::testing::ElementsAre;

const Request kA{"default", "a"};
const Request kB{"default", "b"};

class ManualClock final : public Clock {
 public:
  Time Now() const override { return Time{} + now_.load(); }
  void Advance(Duration by) { now_.store(now_.load() + by); }

 private:
  std::atomic<Duration> now_{Duration(1000s)};
};

class DelayingQueueTest : public ::testing::Test {
 protected:
  std::vector<std::string> TakeAll() {
    std::vector<std::string> names;
    while (const std::optional<Taken> taken = queue_.TryTake()) {
      names.push_back(taken->request.name);
      queue_.Done(taken->request);
    }
    return names;
  }

  ManualClock clock_;
  DelayingQueue queue_{&clock_};
};

TEST_F(DelayingQueueTest, HandsOutWhenItIsTime) {
  queue_.AddAfter(kA, 50ms);
  EXPECT_THAT(TakeAll(), ElementsAre());
  clock_.Advance(49ms);
  EXPECT_THAT(TakeAll(), ElementsAre());
  clock_.Advance(1ms);
  EXPECT_THAT(TakeAll(), ElementsAre("a"));
  clock_.Advance(3600s);
  EXPECT_THAT(TakeAll(), ElementsAre());
}

TEST_F(DelayingQueueTest, OfTwoTimesTheEarlierWins) {
  queue_.AddAfter(kA, 50ms);
  queue_.AddAfter(kA, 20ms);
  queue_.AddAfter(kA, 70ms);
  EXPECT_EQ(queue_.delayed(), 1u);
  clock_.Advance(20ms);
  EXPECT_THAT(TakeAll(), ElementsAre("a"));
  clock_.Advance(3600s);
  EXPECT_THAT(TakeAll(), ElementsAre());
}

TEST_F(DelayingQueueTest, HandsOutInTheOrderOfTimesNotOfAdditions) {
  queue_.AddAfter(kA, 2s);
  queue_.AddAfter(kB, 1s);
  clock_.Advance(2s);
  EXPECT_THAT(TakeAll(), ElementsAre("b", "a"));
}

TEST_F(DelayingQueueTest, AddsAtOnceWhatHasNoDelay) {
  queue_.AddAfter(kA, 0s);
  queue_.AddAfter(kB, -1s);
  EXPECT_THAT(TakeAll(), ElementsAre("a", "b"));
}

TEST_F(DelayingQueueTest, KeepsALaterTimeBesideAnImmediateAddition) {
  queue_.AddAfter(kA, 1s);
  queue_.Add(kA);
  EXPECT_THAT(TakeAll(), ElementsAre("a"));
  clock_.Advance(1s);
  EXPECT_THAT(TakeAll(), ElementsAre("a"));
}

TEST_F(DelayingQueueTest, BacksOffUntilForgotten) {
  queue_.AddRateLimited(kA);
  clock_.Advance(5ms);
  EXPECT_THAT(TakeAll(), ElementsAre("a"));
  queue_.AddRateLimited(kA);
  clock_.Advance(5ms);
  EXPECT_THAT(TakeAll(), ElementsAre());
  clock_.Advance(5ms);
  EXPECT_THAT(TakeAll(), ElementsAre("a"));
  queue_.Forget(kA);
  queue_.AddRateLimited(kA);
  clock_.Advance(5ms);
  EXPECT_THAT(TakeAll(), ElementsAre("a"));
}

TEST_F(DelayingQueueTest, SaysHowLongANameWaitedSinceItWasDue) {
  queue_.AddAfter(kA, 1s);
  clock_.Advance(3s);
  const std::optional<Taken> taken = queue_.TryTake();
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->waited, 2s);
  queue_.Add(kA);  // while it is taken: it waits from now
  clock_.Advance(1s);
  queue_.Done(kA);
  clock_.Advance(1s);
  EXPECT_EQ(queue_.TryTake()->waited, 2s);
}

TEST_F(DelayingQueueTest, ShutDownHandsOutWhatWaitsAndDropsWhatIsLater) {
  queue_.Add(kA);
  queue_.AddAfter(kB, 1s);
  queue_.ShutDown();
  queue_.Add(kB);
  queue_.AddRateLimited(kB);
  clock_.Advance(3600s);
  EXPECT_EQ(queue_.Take()->request, kA);
  queue_.Done(kA);
  EXPECT_FALSE(queue_.Take());
}

TEST_F(DelayingQueueTest, ATakenNameAddedBeforeShutDownComesOnceMore) {
  queue_.Add(kA);
  queue_.Take();
  queue_.Add(kA);
  queue_.ShutDown();
  queue_.Done(kA);
  EXPECT_EQ(queue_.Take()->request, kA);
}

TEST_F(DelayingQueueTest, ShutDownWithDrainWaitsForWhatIsTaken) {
  queue_.Add(kA);
  queue_.Add(kB);
  ASSERT_TRUE(queue_.Take());
  std::atomic<bool> drained = false;
  std::thread drainer([&] {
    queue_.ShutDownWithDrain();
    drained = true;
  });
  while (const std::optional<Taken> taken = queue_.Take()) {
    EXPECT_FALSE(drained);
    queue_.Done(taken->request);
    if (taken->request == kB) break;
  }
  EXPECT_FALSE(drained);
  queue_.Done(kA);
  drainer.join();
  EXPECT_TRUE(drained);
}

TEST_F(DelayingQueueTest, WakesAWaiterForAnEarlierTime) {
  RealClock clock;
  DelayingQueue queue(&clock);
  queue.AddAfter(kA, 3600s);
  std::thread taker([&] {
    const std::optional<Taken> taken = queue.Take();
    ASSERT_TRUE(taken);
    EXPECT_EQ(taken->request, kB);
    queue.Done(kB);
  });
  queue.AddAfter(kB, 1ms);
  taker.join();
}

// No name is in two hands at once, and every addition is followed by a hand-out.
TEST(DelayingQueueThreadsTest, LosesNothingAndDoublesNothing) {
  constexpr int kNames = 5;
  constexpr int kRounds = 400;
  RealClock clock;
  DelayingQueue queue(&clock);
  std::atomic<int> wanted[kNames] = {};
  std::atomic<int> seen[kNames] = {};
  std::atomic<int> holders[kNames] = {};
  std::vector<std::thread> workers;
  for (int w = 0; w < 3; ++w) {
    workers.emplace_back([&] {
      while (const std::optional<Taken> taken = queue.Take()) {
        const int name = taken->request.name[0] - '0';
        EXPECT_EQ(holders[name].fetch_add(1), 0);
        seen[name].store(wanted[name].load());
        holders[name].fetch_sub(1);
        queue.Done(taken->request);
      }
    });
  }
  std::vector<std::thread> adders;
  for (int a = 0; a < 3; ++a) {
    adders.emplace_back([&, a] {
      for (int i = 0; i < kRounds; ++i) {
        const int name = (a + i) % kNames;
        wanted[name].fetch_add(1);
        const Request request{"", std::string(1, static_cast<char>('0' + name))};
        i % 2 == 0 ? queue.Add(request) : queue.AddAfter(request, 100us);
      }
    });
  }
  for (std::thread& adder : adders) adder.join();
  for (int name = 0; name < kNames; ++name) {
    queue.Add({"", std::string(1, static_cast<char>('0' + name))});
  }
  queue.ShutDownWithDrain();
  for (std::thread& worker : workers) worker.join();
  for (int name = 0; name < kNames; ++name) EXPECT_EQ(seen[name], wanted[name]);
}

}  // namespace
}  // namespace grapevine::controller
