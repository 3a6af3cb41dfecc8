#include "operator/controller/workqueue.h"

#include <map>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace grapevine::controller {
namespace {

using ::testing::ElementsAre;

const Request kA{"default", "a"};
const Request kB{"default", "b"};
const Request kC{"other", "a"};

std::vector<Request> Drain(Workqueue& queue) {
  std::vector<Request> result;
  while (const std::optional<Request> request = queue.Take()) {
    result.push_back(*request);
    queue.Done(*request);
  }
  return result;
}

TEST(WorkqueueTest, HandsOutInTheOrderOfAddition) {
  Workqueue queue;
  EXPECT_TRUE(queue.Add(kB));
  EXPECT_TRUE(queue.Add(kA));
  EXPECT_TRUE(queue.Add(kC));
  EXPECT_THAT(Drain(queue), ElementsAre(kB, kA, kC));
}

TEST(WorkqueueTest, HoldsANameOnce) {
  Workqueue queue;
  EXPECT_TRUE(queue.Add(kA));
  EXPECT_TRUE(queue.Add(kB));
  EXPECT_FALSE(queue.Add(kA));
  EXPECT_EQ(queue.waiting(), 2u);
  EXPECT_THAT(Drain(queue), ElementsAre(kA, kB));
}

TEST(WorkqueueTest, AddWhileProcessing) {
  Workqueue queue;
  queue.Add(kA);
  EXPECT_EQ(queue.Take(), kA);
  EXPECT_TRUE(queue.Add(kA));
  EXPECT_EQ(queue.waiting(), 0u);
  EXPECT_EQ(queue.Take(), std::nullopt);
  EXPECT_TRUE(queue.Done(kA));
  EXPECT_EQ(queue.Take(), kA);
  EXPECT_FALSE(queue.Done(kA));
  EXPECT_EQ(queue.Take(), std::nullopt);
}

TEST(WorkqueueTest, CollapseWhileProcessing) {
  Workqueue queue;
  queue.Add(kA);
  queue.Take();
  EXPECT_TRUE(queue.Add(kA));
  EXPECT_FALSE(queue.Add(kA));
  EXPECT_FALSE(queue.Add(kA));
  queue.Done(kA);
  EXPECT_THAT(Drain(queue), ElementsAre(kA));
}

TEST(WorkqueueTest, ANameThatIsTakenComesAfterThoseThatWaited) {
  Workqueue queue;
  queue.Add(kA);
  queue.Take();
  queue.Add(kA);
  queue.Add(kB);
  queue.Done(kA);
  EXPECT_THAT(Drain(queue), ElementsAre(kB, kA));
}

// The twin keeps, per name, whether it waits, is taken, or was added while taken.
TEST(WorkqueueTest, AgreesWithItsTwinOnRandomCalls) {
  struct Twin {
    bool waits = false;
    bool taken = false;
    bool again = false;
  };
  std::mt19937 rng(11);
  Workqueue queue;
  std::map<Request, Twin> twins;
  std::vector<Request> taken;
  for (int i = 0; i < 20'000; ++i) {
    const Request request{"default", std::string(1, static_cast<char>('a' + rng() % 6))};
    Twin& twin = twins[request];
    switch (rng() % 3) {
      case 0:
        EXPECT_EQ(queue.Add(request), !twin.waits && !twin.again);
        (twin.taken ? twin.again : twin.waits) = true;
        break;
      case 1:
        if (const std::optional<Request> next = queue.Take()) {
          Twin& of_next = twins[*next];
          ASSERT_TRUE(of_next.waits && !of_next.taken);
          of_next = {.taken = true};
          taken.push_back(*next);
        }
        break;
      case 2:
        if (taken.empty()) break;
        const size_t index = rng() % taken.size();
        Twin& done = twins[taken[index]];
        ASSERT_EQ(queue.Done(taken[index]), done.again);
        done = {.waits = done.again};
        taken.erase(taken.begin() + static_cast<ptrdiff_t>(index));
        break;
    }
    ASSERT_EQ(queue.taken(), taken.size());
  }
}

}  // namespace
}  // namespace grapevine::controller
