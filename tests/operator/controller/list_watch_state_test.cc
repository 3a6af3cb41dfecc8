#include "operator/controller/list_watch_state.h"

#include "gtest/gtest.h"
#include "operator/controller/api_error.h"

namespace grapevine::controller {
namespace {

using Step = ListWatchState::Step;

class ListWatchStateTest : public ::testing::Test {
 protected:
  Step Next() { return state_.NextStep(now_).step; }

  // The wait that the state asks for, passed.
  Duration WaitedOut() {
    const ListWatchState::Next next = state_.NextStep(now_);
    EXPECT_EQ(next.step, Step::kWait);
    const Duration waited = next.until - now_;
    now_ = next.until;
    return waited;
  }

  void ListAndOpen(const std::string& version) {
    EXPECT_EQ(Next(), Step::kList);
    state_.OnListed(version);
    EXPECT_EQ(Next(), Step::kWatch);
    state_.OnWatchOpened(now_);
  }

  ListWatchState state_{1};
  Time now_ = Time{} + 5000s;
};

TEST_F(ListWatchStateTest, ListsThenWatchesFromThereThenFromTheLastEvent) {
  ListAndOpen("7");
  EXPECT_EQ(state_.resource_version(), "7");
  state_.OnEvent("9");
  state_.OnEvent("12");
  now_ += 300s;
  state_.OnWatchEnded(0, now_);
  EXPECT_EQ(Next(), Step::kWatch);
  EXPECT_EQ(state_.resource_version(), "12");
}

// An old one would show what an earlier process has seen to be over.
TEST_F(ListWatchStateTest, TheFirstListIsTheNewestThereIs) { EXPECT_EQ(state_.list_version(), ""); }

TEST_F(ListWatchStateTest, ListsAgainAtOnceWhenTheHistoryIsGone) {
  ListAndOpen("7");
  state_.OnEvent("9");
  EXPECT_EQ(state_.list_version(), "9");
  now_ += 300s;
  state_.OnWatchEnded(410, now_);
  EXPECT_EQ(Next(), Step::kList);
  EXPECT_EQ(state_.list_version(), "");
  state_.OnListed("20");
  EXPECT_EQ(Next(), Step::kWatch);
  EXPECT_EQ(state_.resource_version(), "20");
}

TEST_F(ListWatchStateTest, AlsoWhenTheWatchIsRefusedForIt) {
  ListAndOpen("7");
  state_.OnEvent("9");
  state_.OnWatchRefused(absl::OutOfRangeError("410"), now_);
  EXPECT_EQ(Next(), Step::kList);
}

TEST_F(ListWatchStateTest, DoesNotLoopWhenEachListIsGoneBeforeItsWatch) {
  ListAndOpen("7");
  state_.OnWatchEnded(410, now_);
  WaitedOut();
  EXPECT_EQ(Next(), Step::kList);
}

TEST_F(ListWatchStateTest, DoesNotLoopWhenWatchesEndAtOnceWithNothing) {
  ListAndOpen("7");
  state_.OnWatchEnded(0, now_ + 999ms);
  EXPECT_GE(WaitedOut(), 800ms);
  EXPECT_EQ(Next(), Step::kWatch);
  state_.OnWatchOpened(now_);
  state_.OnEvent("8");
  state_.OnWatchEnded(0, now_ + 1ms);
  EXPECT_EQ(Next(), Step::kWatch);
}

TEST_F(ListWatchStateTest, KeepsItsPlaceThroughTroubleThatPasses) {
  for (int code : {429, 500, 503, 504}) {
    ListWatchState state(1);
    state.OnListed("7");
    state.OnWatchOpened(now_);
    state.OnWatchEnded(code, now_);
    const ListWatchState::Next wait = state.NextStep(now_);
    EXPECT_EQ(wait.step, Step::kWait) << code;
    EXPECT_EQ(state.NextStep(wait.until).step, Step::kWatch) << code;
  }
  for (const absl::Status& status : {absl::UnavailableError(""), absl::DeadlineExceededError(""),
                                     absl::ResourceExhaustedError("")}) {
    ListWatchState state(1);
    state.OnListed("7");
    state.OnWatchRefused(status, now_);
    EXPECT_EQ(state.NextStep(state.NextStep(now_).until).step, Step::kWatch) << status;
  }
}

TEST_F(ListWatchStateTest, ListsAgainAfterAnythingElse) {
  ListAndOpen("7");
  state_.OnWatchEnded(403, now_);
  WaitedOut();
  EXPECT_EQ(Next(), Step::kList);
  state_.OnListed("8");
  state_.OnWatchRefused(absl::PermissionDeniedError(""), now_);
  WaitedOut();
  EXPECT_EQ(Next(), Step::kList);
}

TEST_F(ListWatchStateTest, BacksOffLongerAndLongerButNotForEver) {
  Duration least = 800ms;
  for (int i = 0; i < 5; ++i, least *= 2) {
    state_.OnListFailed(absl::UnavailableError(""), now_);
    const Duration waited = WaitedOut();
    EXPECT_GE(waited, least);
    EXPECT_LE(waited, 2 * least);
    EXPECT_EQ(Next(), Step::kList);
  }
  for (int i = 0; i < 20; ++i) {
    state_.OnListFailed(absl::UnavailableError(""), now_);
    EXPECT_LE(WaitedOut(), 60s);
  }
}

TEST_F(ListWatchStateTest, StartsAnewAfterTwoCalmMinutes) {
  for (int i = 0; i < 6; ++i) {
    state_.OnListFailed(absl::UnavailableError(""), now_);
    WaitedOut();
  }
  now_ += 121s;
  state_.OnListFailed(absl::UnavailableError(""), now_);
  EXPECT_LE(WaitedOut(), 1600ms);
}

TEST_F(ListWatchStateTest, IgnoresObjectsWithoutAVersion) {
  ListAndOpen("7");
  state_.OnEvent("");
  EXPECT_EQ(state_.resource_version(), "7");
}

TEST_F(ListWatchStateTest, AListOfAVersionThatIsTooLargeIsAskedForTheNewestAtOnceAndOnce) {
  ListAndOpen("7");
  state_.OnWatchRefused(absl::UnknownError(""), now_);
  WaitedOut();
  EXPECT_EQ(Next(), Step::kList);
  EXPECT_EQ(state_.list_version(), "7");
  state_.OnListFailed(absl::OutOfRangeError(""), now_);
  EXPECT_EQ(Next(), Step::kList);
  EXPECT_EQ(state_.list_version(), "");
  state_.OnListFailed(absl::OutOfRangeError(""), now_);
  EXPECT_EQ(Next(), Step::kWait);
}

TEST_F(ListWatchStateTest, WaitsAsLongAsTheServerAsksFor) {
  state_.OnListFailed(ToStatus({.http_status = 429, .retry_after = 50s}), now_);
  EXPECT_EQ(WaitedOut(), 50s);
}

TEST_F(ListWatchStateTest, AWatchThatEndedWaitsAsLongAsTheServerAskedFor) {
  ListAndOpen("7");
  state_.OnEvent("8");
  state_.OnWatchEnded(429, now_, 20s);
  EXPECT_EQ(WaitedOut(), 20s);
  EXPECT_EQ(Next(), Step::kWatch);
  EXPECT_EQ(state_.resource_version(), "8");
}

}  // namespace
}  // namespace grapevine::controller
