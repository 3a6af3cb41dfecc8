#include "operator/base/mutex.h"

#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "operator/base/clock.h"

namespace grapevine {
namespace {

struct Counter {
  Mutex mutex;
  CondVar changed;
  int value ABSL_GUARDED_BY(mutex) = 0;
};

TEST(MutexTest, NoIncrementOfManyThreadsIsLost) {
  Counter counter;
  {
    std::vector<std::jthread> threads;
    threads.reserve(4);
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&counter] {
        for (int i = 0; i < 1000; ++i) {
          MutexLock lock(counter.mutex);
          ++counter.value;
        }
      });
    }
  }
  MutexLock lock(counter.mutex);
  EXPECT_EQ(counter.value, 4000);
}

TEST(MutexTest, TryLockFailsWhileAnotherThreadHoldsIt) {
  Mutex mutex;
  mutex.Lock();
  std::jthread([&mutex] { EXPECT_FALSE(mutex.TryLock()); }).join();
  mutex.Unlock();
  if (mutex.TryLock()) {
    mutex.Unlock();
  } else {
    FAIL() << "still held";
  }
}

TEST(CondVarTest, WakesWhoWaits) {
  Counter counter;
  std::jthread other([&counter] {
    MutexLock lock(counter.mutex);
    counter.value = 1;
    counter.changed.NotifyAll();
  });
  MutexLock lock(counter.mutex);
  while (counter.value == 0) counter.changed.Wait(counter.mutex);
  EXPECT_EQ(counter.value, 1);
}

TEST(CondVarTest, WaitUntilSaysThatTheDeadlineHasPassedAndHoldsTheMutexAgain) {
  Counter counter;
  MutexLock lock(counter.mutex);
  const Time deadline = RealClock().Now() + 5ms;
  while (counter.changed.WaitUntil(counter.mutex, deadline)) {
  }
  EXPECT_GE(RealClock().Now(), deadline);
  counter.value = 1;
}

TEST(CondVarTest, ADeadlineInThePastReturnsAtOnce) {
  Counter counter;
  MutexLock lock(counter.mutex);
  EXPECT_FALSE(counter.changed.WaitUntil(counter.mutex, Time{}));
}

}  // namespace
}  // namespace grapevine
