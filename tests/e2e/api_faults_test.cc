// The operator's engine against a real API server that errs, vanishes and shows the past, and that
// is the last thing an operator speaks to before it dies: nothing is lost, nothing is done twice.

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cluster/shared_control_plane.h"
#include "tests/e2e/job_life.h"

namespace grapevine::e2e {
namespace {

using cluster::ApiCall;
using cluster::Fate;
using cluster::SharedControlPlane;
using cluster::Shown;
using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int kLanes = 4;  // lives at once: most of the time each waits for something
constexpr char kEndState[] = "Succeeded Initialized restarts 1, 0 Succeeded, 1 Failed, 1 Succeeded";
constexpr char kExpired[] =
    R"({"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}})"
    "\n";

// A script for one life. Each fault ends by itself, so that the job's end can be waited for.
struct Fault {
  const char* name;
  std::function<void(JobLife&)> begin = [](JobLife&) {};
  // After the steps of LiveThrough, from 0.
  std::function<void(JobLife&, int step)> after = [](JobLife&, int) {};
};

bool IsOf(const ApiCall& call, std::string_view plural) { return call.path.ends_with(plural); }

// Counts what comes, by resource. Thread-safe.
class Counts {
 public:
  int Next(const std::string& path) {
    MutexLock lock(mutex_);
    return ++counts_[path];
  }

 private:
  Mutex mutex_;
  std::map<std::string, int> counts_ ABSL_GUARDED_BY(mutex_);
};

void CutInMidFrame(JobLife& life) {
  life.proxy().OnEvents(
      [counts = std::make_shared<Counts>()](const ApiCall& call, std::string_view event) {
        if (counts->Next(call.path) != 2) return Shown{std::string(event)};
        return Shown{std::string(event.substr(0, event.size() / 2)), /*hang_up=*/true};
      });
}

// The watch of pods ends after its second event, and cannot be opened from there.
void GoneAtTheStartOfAWatch(JobLife& life) {
  const auto ended = std::make_shared<std::atomic<bool>>(false);
  life.proxy().OnEvents(
      [ended, counts = std::make_shared<Counts>()](const ApiCall& call, std::string_view event) {
        const bool end = IsOf(call, "/pods") && counts->Next(call.path) == 2;
        if (end) *ended = true;
        return Shown{std::string(event), end};
      });
  life.proxy().OnCalls([ended](const ApiCall& call) {
    if (!call.IsWatch() || !IsOf(call, "/pods") || !ended->exchange(false)) return Fate{};
    return Fate{.kind = Fate::Kind::kAnswer,
                .status = 410,
                .body = R"({"kind":"Status","code":410,"reason":"Expired"})"};
  });
}

// Events `first` to `last` of the pods never come, and the last one's place takes an error.
void LoseEvents(JobLife& life, int first, int last) {
  life.proxy().OnEvents(
      [=, counts = std::make_shared<Counts>()](const ApiCall& call, std::string_view event) {
        const int n = IsOf(call, "/pods") ? counts->Next(call.path) : 0;
        if (n == last) return Shown{kExpired, /*hang_up=*/true};
        return Shown{n >= first && n < last ? "" : std::string(event)};
      });
}

// A new pod is shown after whatever the server shows next of another pod.
void ShowOutOfOrder(JobLife& life) {
  const auto held = std::make_shared<std::string>();
  life.proxy().OnEvents([held](const ApiCall& call, std::string_view event) {
    if (!IsOf(call, "/pods")) return Shown{std::string(event)};
    std::string first = std::exchange(*held, "");
    if (first.empty() && event.starts_with(R"({"type":"ADDED")")) {
      *held = event;
      return Shown{};
    }
    const auto name = [](std::string_view frame) {
      return std::string(json::parse(frame)["object"]["metadata"]["name"]);
    };
    if (first.empty() || name(first) == name(event)) return Shown{first + std::string(event)};
    return Shown{std::string(event) + first};
  });
}

void ShowTwice(JobLife& life) {
  life.proxy().OnEvents([](const ApiCall&, std::string_view event) {
    return Shown{std::string(event) + std::string(event)};
  });
}

void AskForPatience(JobLife& life) {
  life.proxy().OnCalls([counts = std::make_shared<Counts>()](const ApiCall& call) {
    if (!call.IsWrite()) return Fate{};
    const int n = counts->Next("");
    if (n % 5 != 0 || n > 20) return Fate{};
    return Fate{.kind = Fate::Kind::kAnswer, .status = 429, .headers = "Retry-After: 1\r\n"};
  });
}

// Every third write fails, in turn undone, done, and done without an answer.
void FailWrites(JobLife& life) {
  life.proxy().OnCalls([counts = std::make_shared<Counts>()](const ApiCall& call) {
    if (!call.IsWrite()) return Fate{};
    const int n = counts->Next("");
    if (n % 3 != 0 || n > 36) return Fate{};
    constexpr Fate::Kind kKinds[] = {Fate::Kind::kAnswer, Fate::Kind::kDoAndAnswer,
                                     Fate::Kind::kDoAndHangUp};
    return Fate{.kind = kKinds[n / 3 % 3], .status = 500};
  });
}

// For a second, while the job is scaled.
void Vanish(JobLife& life, int step) {
  if (step != 0) return;
  life.proxy().Refuse(true);
  life.AtLeisure([&life] {
    std::this_thread::sleep_for(1s);
    life.proxy().Refuse(false);
  });
}

// Whoever lists the jobs as of any version gets what the operator before it got.
void ShowThePast(JobLife& life, int step) {
  if (step > 1) return;
  static Mutex mutex;
  static std::string past ABSL_GUARDED_BY(mutex);
  life.proxy().OnLists([step](const ApiCall& call, std::string now) {
    if (!IsOf(call, "/trainingjobs")) return now;
    MutexLock lock(mutex);
    if (step == 0) past = now;
    return step == 1 && call.Parameter("resourceVersion") == "0" ? past : now;
  });
  life.KillOperator();
  EXPECT_TRUE(life.StartOperator().ok());
}

const std::vector<Fault>& Faults() {
  static const auto* const kFaults = new std::vector<Fault>{
      {.name = "none"},
      {.name = "cut", .begin = CutInMidFrame},
      {.name = "gone", .begin = GoneAtTheStartOfAWatch},
      {.name = "expired", .begin = [](JobLife& life) { LoseEvents(life, 2, 2); }},
      {.name = "unseen", .begin = [](JobLife& life) { LoseEvents(life, 7, 9); }},
      {.name = "reordered", .begin = ShowOutOfOrder},
      {.name = "twice", .begin = ShowTwice},
      {.name = "patience", .begin = AskForPatience},
      {.name = "failing", .begin = FailWrites},
      {.name = "vanished", .after = Vanish},
      {.name = "past", .after = ShowThePast}};
  return *kFaults;
}

class ApiFaultsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto& plane = SharedControlPlane();
    const json all = {{{"apiGroups", {"*"}}, {"resources", {"*"}}, {"verbs", {"*"}}}};
    const auto config = plane.KubeconfigOf("default", "faults", all);
    ASSERT_TRUE(config.ok()) << config.status();
    token_ = new kube::Material(kube::FindAccess({.kubeconfig = *config})->token);
  }
  static void TearDownTestSuite() { delete token_; }

  static std::unique_ptr<JobLife> NewLife(const std::string& name) {
    const auto admin = kube::FindAccess({.kubeconfig = SharedControlPlane().kubeconfig()});
    EXPECT_TRUE(admin.ok()) << admin.status();
    return std::make_unique<JobLife>(*admin, *token_, name);
  }

  // All that can happen to a job, to its end. False when a step failed, and so did the test.
  static bool LiveThrough(JobLife& life, const Fault& fault) {
    fault.begin(life);
    if (const absl::Status status = life.StartOperator(); !status.ok()) {
      ADD_FAILURE() << status;
      return false;
    }
    const std::vector<std::function<bool()>> steps = {
        [&] { return life.Submit(2).ok() && life.WaitForMembers(2); },
        [&] { return life.Scale(3).ok() && life.WaitForMembers(3); },
        [&] {
          return life.kubelet().End({life.name_space(), "digits-1-0"}, {.exit_code = 1}).ok() &&
                 life.WaitForPod("digits-1-1") && life.WaitForMembers(3);
        },
        [&] { return life.Scale(2, {"digits-2-0"}).ok() && life.WaitForMembers(2); },
        [&] { return life.Suspend(true).ok() && life.WaitForSuspended(); },
        [&] { return life.Suspend(false).ok() && life.WaitForMembers(2); },
        [&] {
          life.Train();
          return life.WaitForSucceeded();
        }};
    for (size_t i = 0; i < steps.size(); ++i) {
      if (!steps[i]()) {
        ADD_FAILURE() << "step " << i;
        return false;
      }
      fault.after(life, static_cast<int>(i));
    }
    EXPECT_EQ(life.EndState(), kEndState);
    EXPECT_THAT(life.Violations(), IsEmpty());
    // One by scaling in, two by the suspension.
    EXPECT_THAT(life.deleted(), ElementsAre("0", "1", "2"));
    return true;
  }

  // `live(i)` for i from 0 until one of them returns false, kLanes at once.
  static void LiveInLanes(const std::function<bool(int)>& live) {
    std::atomic<int> next = 0;
    std::atomic<bool> done = false;
    std::vector<std::jthread> lanes;
    for (int i = 0; i < kLanes; ++i) {
      lanes.emplace_back([&] {
        while (!done) {
          if (!live(next++)) done = true;
        }
      });
    }
  }

  static kube::Material* token_;
};

kube::Material* ApiFaultsTest::token_ = nullptr;

TEST_F(ApiFaultsTest, WhateverTheServerDoesTheJobEndsAsIfItHadNot) {
  LiveInLanes([](int i) {
    const auto n = static_cast<size_t>(i);
    if (n >= Faults().size()) return false;
    const Fault& fault = Faults()[n];
    SCOPED_TRACE(fault.name);
    LiveThrough(*NewLife(fmt::format("fault-{}", fault.name)), fault);
    return true;
  });
}

// Each write in turn, until a life has fewer.
TEST_F(ApiFaultsTest, AKillAfterAnyWriteMakesNoSecondPodAndLosesNone) {
  std::atomic<int> kills = 0;
  LiveInLanes([&](int i) {
    SCOPED_TRACE(fmt::format("killed after write {}", i + 1));
    const auto life = NewLife(fmt::format("kill-{}", i + 1));
    life->KillAfterWrite(i + 1);
    const bool lived = LiveThrough(*life, {.name = "kill"});
    kills += life->operators() - 1;
    return lived && life->operators() > 1;
  });
  EXPECT_GT(kills, 25);
}

}  // namespace
}  // namespace grapevine::e2e
