#include "worker/assembly/errands.h"

#include <memory>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace grapevine::assembly {
namespace {

TEST(Errands, RunInOrder) {
  std::vector<int> ran;
  Mutex mutex;
  CondVar changed;
  {
    Errands errands;
    for (int i = 0; i < 3; ++i) {
      errands.Post([&, i] {
        MutexLock lock(mutex);
        ran.push_back(i);
        changed.NotifyAll();
      });
    }
    MutexLock lock(mutex);
    while (ran.size() < 3) changed.Wait(mutex);
  }
  EXPECT_EQ(ran, (std::vector<int>{0, 1, 2}));
}

TEST(Errands, EndWaitsForTheOneUnderWay) {
  bool finished = false;
  {
    Mutex mutex;
    CondVar changed;
    bool begun = false;
    Errands errands;
    errands.Post([&] {
      {
        MutexLock lock(mutex);
        begun = true;
        changed.NotifyAll();
      }
      finished = true;
    });
    MutexLock lock(mutex);
    while (!begun) changed.Wait(mutex);
  }
  EXPECT_TRUE(finished);
}

TEST(Errands, NothingRunsAfterStop) {
  bool ran = false;
  {
    Errands errands;
    errands.Stop();
    errands.Post([&] { ran = true; });
  }
  EXPECT_FALSE(ran);
}

TEST(Errands, WhatADroppedErrandHoldsMayPostAsItEnds) {
  Mutex mutex;
  CondVar changed;
  bool dropped = false;
  Errands errands;
  errands.Post([&] {
    MutexLock lock(mutex);
    while (!dropped) changed.Wait(mutex);
  });
  std::shared_ptr<void> held(nullptr, [&](void*) {
    errands.Post([] {});
    MutexLock lock(mutex);
    dropped = true;
    changed.NotifyAll();
  });
  errands.Post([held = std::move(held)] {});
  errands.Stop();
  EXPECT_TRUE(dropped);
}

}  // namespace
}  // namespace grapevine::assembly
