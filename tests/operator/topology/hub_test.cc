#include "operator/topology/hub.h"

#include <limits>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "operator/topology/job.h"

namespace grapevine::topology {
namespace {

// Notes what it is sent; takes `room` messages. Thread-safe.
class NotingSink final : public Sink {
 public:
  explicit NotingSink(size_t room = 1000) : room_(room) {}
  bool Send(const HubMessage& message) override {
    MutexLock lock(mutex_);
    if (sent_.size() >= room_) return false;
    sent_.push_back(message);
    return true;
  }
  void Close() override {
    MutexLock lock(mutex_);
    closed_ = true;
  }
  std::vector<HubMessage> sent() {
    MutexLock lock(mutex_);
    return sent_;
  }
  bool closed() {
    MutexLock lock(mutex_);
    return closed_;
  }

 private:
  const size_t room_;
  Mutex mutex_;
  std::vector<HubMessage> sent_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

WorkerMessage RegisterMessage(const std::string& pod) {
  WorkerMessage message;
  message.mutable_register_()->set_namespace_("default");
  message.mutable_register_()->set_job("digits");
  message.mutable_register_()->set_pod(pod);
  message.mutable_register_()->set_pod_uid("uid-" + pod);
  return message;
}

WorkerMessage BuiltMessage(uint64_t layout_hash, int64_t samples = 100) {
  WorkerMessage message;
  message.mutable_built()->set_layout_hash(layout_hash);
  message.mutable_built()->set_samples(samples);
  return message;
}

const JobKey kJob{"default", "digits"};

class HubTest : public ::testing::Test {
 protected:
  void MakeJob(const std::string& spec_json = "{}") {
    hub_.EnsureJob(kJob, {.uid = "u1", .spec_json = spec_json, .batch_size = 10, .data_epochs = 1});
  }
  SessionId Register(const std::shared_ptr<NotingSink>& sink, const std::string& pod) {
    const SessionId session = hub_.Connect(sink);
    hub_.OnMessage(session, RegisterMessage(pod));
    return session;
  }

  RealClock clock_;
  std::atomic<int> changes_ = 0;
  Hub hub_{clock_, [this](const JobKey&) { ++changes_; }};
};

TEST_F(HubTest, AssignsEachRegistrantAnIdOfItsOwn) {
  MakeJob();
  const auto first = std::make_shared<NotingSink>();
  const auto second = std::make_shared<NotingSink>();
  Register(first, "a");
  Register(second, "b");
  ASSERT_EQ(first->sent().size(), 1u);
  EXPECT_EQ(first->sent()[0].assign().job_uid(), "u1");
  EXPECT_NE(first->sent()[0].assign().member(), second->sent()[0].assign().member());
}

TEST_F(HubTest, TellsAllOfANewSpecOnceAndThoseWhoComeLaterHaveItFromTheirAssign) {
  MakeJob("old");
  const auto first = std::make_shared<NotingSink>();
  const auto later = std::make_shared<NotingSink>();
  Register(first, "a");
  MakeJob("old");
  MakeJob("new");
  MakeJob("new");
  Register(later, "b");
  ASSERT_EQ(first->sent().size(), 2u);
  EXPECT_EQ(first->sent()[0].assign().spec_json(), "old");
  EXPECT_EQ(first->sent()[1].spec_changed().spec_json(), "new");
  ASSERT_EQ(later->sent().size(), 1u);
  EXPECT_EQ(later->sent()[0].assign().spec_json(), "new");
}

TEST_F(HubTest, ClosesTheStreamOfAWorkerWhoseJobItDoesNotKnow) {
  const auto sink = std::make_shared<NotingSink>();
  Register(sink, "a");
  EXPECT_TRUE(sink->closed());
}

TEST_F(HubTest, ClosesAStreamThatSpeaksBeforeItRegisters) {
  MakeJob();
  const auto sink = std::make_shared<NotingSink>();
  hub_.OnMessage(hub_.Connect(sink), BuiltMessage(1));
  EXPECT_TRUE(sink->closed());
}

TEST_F(HubTest, GoesOnAboveTheIdAndEpochThatAWorkerOfThisJobPresents) {
  MakeJob();
  const auto assigned = [this](const std::string& uid, uint64_t member, uint64_t epoch) {
    const auto sink = std::make_shared<NotingSink>();
    WorkerMessage message = RegisterMessage("pod-" + uid);
    message.mutable_register_()->set_job_uid(uid);
    message.mutable_register_()->set_member(member);
    message.mutable_register_()->mutable_view()->set_epoch(epoch);
    hub_.OnMessage(hub_.Connect(sink), message);
    return sink->sent().at(0).assign().member();
  };
  EXPECT_EQ(assigned("another job's", 1'000'000, 1'000'000), 1u);
  EXPECT_EQ(hub_.Observe(kJob).epoch, 0u);
  EXPECT_EQ(assigned("u1", 1'000'000, 500), 1'000'001u);
  EXPECT_EQ(hub_.Observe(kJob).epoch, 500u);
}

TEST_F(HubTest, RefusesIdsAndEpochsThatCannotHaveBeenGiven) {
  MakeJob();
  const auto refusal = [this](uint64_t member, uint64_t epoch) {
    const auto sink = std::make_shared<NotingSink>();
    WorkerMessage message = RegisterMessage("a");
    message.mutable_register_()->set_job_uid("u1");
    message.mutable_register_()->set_member(member);
    message.mutable_register_()->mutable_view()->set_epoch(epoch);
    hub_.OnMessage(hub_.Connect(sink), message);
    EXPECT_TRUE(sink->closed());
    return sink->sent().at(0).refused().reason();
  };
  EXPECT_EQ(refusal(18446744073709551614u, 0),
            "register.member: found 18446744073709551614, allowed is 0 to 4611686018427387904");
  EXPECT_EQ(refusal(0, 18446744073709551615u),
            "register.view.epoch: found 18446744073709551615, allowed is 0 to "
            "4611686018427387904");
  const auto next = std::make_shared<NotingSink>();
  Register(next, "b");
  EXPECT_EQ(next->sent().at(0).assign().member(), 1u);
  EXPECT_EQ(hub_.Observe(kJob).epoch, 0u);
}

TEST_F(HubTest, RefusesAnotherLayoutThanTheJobs) {
  MakeJob();
  const auto first = std::make_shared<NotingSink>();
  const auto second = std::make_shared<NotingSink>();
  hub_.OnMessage(Register(first, "a"), BuiltMessage(1));
  hub_.OnMessage(Register(second, "b"), BuiltMessage(2));
  ASSERT_FALSE(second->sent().empty());
  EXPECT_TRUE(second->sent().back().has_refused());
  EXPECT_FALSE(first->closed());
}

TEST_F(HubTest, RefusesATrainingSetThatCannotBeCounted) {
  MakeJob();
  for (const int64_t samples : {int64_t{-1}, int64_t{0}, int64_t{1}, int64_t{1'000'000'001},
                                std::numeric_limits<int64_t>::max()}) {
    const auto sink = std::make_shared<NotingSink>();
    hub_.OnMessage(Register(sink, "a"), BuiltMessage(1, samples));
    EXPECT_EQ(sink->sent().back().refused().reason(),
              "built.samples: found " + std::to_string(samples) + ", allowed is 2 to 1000000000");
    EXPECT_TRUE(sink->closed());
  }
  const auto sink = std::make_shared<NotingSink>();
  hub_.OnMessage(Register(sink, "b"), BuiltMessage(2, 1'000'000'000));
  EXPECT_FALSE(sink->closed()) << "nothing of those refused is the job's";
}

TEST_F(HubTest, CutsOffAWorkerThatDoesNotRead) {
  MakeJob();
  const auto sink = std::make_shared<NotingSink>(/*room=*/0);
  Register(sink, "a");
  EXPECT_TRUE(sink->closed());
}

TEST_F(HubTest, AnUnknownJobIsObservedAsAnEmptyOne) {
  const Snapshot snapshot = hub_.Observe(kJob);
  EXPECT_FALSE(snapshot.known);
  ASSERT_NE(snapshot.graph, nullptr);
  EXPECT_EQ(hub_.Stats(kJob).joined, 0);
}

TEST_F(HubTest, ARosterBeginsAtTheProgressOfTheCheckpointThatItLoaded) {
  MakeJob();
  const auto name = [this](const std::string& path, int64_t batches) {
    WorkerMessage message = BuiltMessage(1);
    v1::Checkpoint& checkpoint = *message.mutable_built()->mutable_checkpoint();
    checkpoint.set_path(path);
    checkpoint.mutable_progress()->set_samples(10 * batches);
    checkpoint.mutable_progress()->add_done()->set_end_batch(batches);
    hub_.OnMessage(Register(std::make_shared<NotingSink>(), path), message);
  };
  name("/c/20", 2);
  const Directives begin{.start = membership::Start::kCheckpoint,
                         .start_checkpoint = hub_.Observe(kJob).checkpoint};
  name("/c/30", 3);
  hub_.Apply(kJob, begin);
  EXPECT_EQ(begin.start_checkpoint, "/c/20");
  EXPECT_EQ(hub_.Observe(kJob).samples, 20);
  EXPECT_EQ(hub_.Observe(kJob).checkpoint, "/c/30");
  EXPECT_EQ(hub_.Stats(kJob).samples_before, 20);
  hub_.Apply(kJob, {.start = membership::Start::kCheckpoint, .start_checkpoint = "/c/unknown"});
  EXPECT_EQ(hub_.Observe(kJob).samples, 0);
  EXPECT_EQ(hub_.Stats(kJob).samples_before, 20);
}

class UnreadableTest : public HubTest {
 protected:
  // A waiting worker that has found `path`, told to load it.
  SessionId Loads(const std::string& pod, const std::string& path, int64_t samples) {
    const SessionId session = Register(std::make_shared<NotingSink>(), pod);
    WorkerMessage message = BuiltMessage(1);
    *message.mutable_built()->mutable_checkpoint() = Named(path, samples);
    hub_.OnMessage(session, message);
    const MemberId id = hub_.Observe(kJob).registrants.back().rules.id;
    hub_.Apply(kJob, {.assign = {{id, membership::Role::kCheckpoint, path, ""}}});
    return session;
  }
  void Fails(SessionId session, const std::string& path, const v1::Checkpoint& instead = {}) {
    WorkerMessage message;
    message.mutable_unreadable()->set_checkpoint_path(path);
    message.mutable_unreadable()->set_reason(path + " ends at byte 9");
    *message.mutable_unreadable()->mutable_instead() = instead;
    hub_.OnMessage(session, message);
  }
  static v1::Checkpoint Named(const std::string& path, int64_t samples) {
    v1::Checkpoint checkpoint;
    checkpoint.set_path(path);
    checkpoint.mutable_progress()->set_samples(samples);
    return checkpoint;
  }
};

TEST_F(UnreadableTest, AnOlderOneIsNextOnceNobodyIsAboutToLoadTheNewest) {
  MakeJob();
  const SessionId first = Loads("a", "/c/30", 30);
  const SessionId second = Loads("b", "/c/30", 30);
  Fails(first, "/c/30", Named("/c/20", 20));
  EXPECT_EQ(hub_.Observe(kJob).checkpoint, "/c/30") << "the other may be able to";
  EXPECT_TRUE(hub_.Observe(kJob).unreadable.empty());
  Fails(second, "/c/30", Named("/c/20", 20));
  EXPECT_EQ(hub_.Observe(kJob).checkpoint, "/c/20");
  ASSERT_EQ(hub_.Observe(kJob).unreadable.size(), 1u);
  EXPECT_EQ(hub_.Observe(kJob).unreadable[0].checkpoint, "/c/30");
  EXPECT_EQ(hub_.Observe(kJob).unreadable[0].reason, "/c/30 ends at byte 9");
  EXPECT_FALSE(hub_.Observe(kJob).unfit);
  Loads("c", "/c/30", 30);
  EXPECT_EQ(hub_.Observe(kJob).checkpoint, "/c/20") << "it is not named again";
}

TEST_F(UnreadableTest, ItIsNextTooWhenTheLastThatWasAboutToLoadItIsGone) {
  MakeJob();
  const SessionId first = Loads("a", "/c/30", 30);
  Loads("b", "/c/30", 30);
  const MemberId second = hub_.Observe(kJob).registrants.back().rules.id;
  Fails(first, "/c/30", Named("/c/20", 20));
  hub_.Apply(kJob, {.forget = {{second, "its pod is gone"}}});
  EXPECT_EQ(hub_.Observe(kJob).checkpoint, "/c/20");
}

TEST_F(UnreadableTest, TheJobCannotGoOnWhenNoneIsLeft) {
  MakeJob();
  const SessionId only = Loads("a", "/c/30", 30);
  Fails(only, "/c/20");
  EXPECT_EQ(hub_.Observe(kJob).checkpoint, "/c/30") << "nobody was told to load that one";
  Fails(only, "/c/30");
  ASSERT_TRUE(hub_.Observe(kJob).unfit);
  EXPECT_EQ(hub_.Observe(kJob).unfit->reason, "InvalidCheckpoint");
  EXPECT_EQ(hub_.Observe(kJob).unfit->message,
            "no checkpoint can be loaded, the last: /c/30 ends at byte 9");
}

TEST_F(HubTest, RolesBecomeWaysToStart) {
  EXPECT_EQ(FromOf(membership::Role::kSeed), v1::Start::FROM_SEED);
  EXPECT_EQ(FromOf(membership::Role::kCopy), v1::Start::FROM_COPY);
  EXPECT_EQ(FromOf(membership::Role::kKeep), v1::Start::FROM_HELD);
}

TEST_F(HubTest, ServesManyThreadsAtOnce) {
  MakeJob();
  std::vector<std::thread> workers;
  for (int i = 0; i < 4; ++i) {
    workers.emplace_back([this, i] {
      for (int round = 0; round < 50; ++round) {
        const auto sink = std::make_shared<NotingSink>();
        const SessionId session = Register(sink, "pod-" + std::to_string(i));
        hub_.OnMessage(session, BuiltMessage(1));
        hub_.Tick();
        hub_.OnDisconnect(session);
      }
    });
  }
  for (int i = 0; i < 200; ++i) hub_.Observe(kJob);
  for (std::thread& worker : workers) worker.join();
  EXPECT_GT(changes_, 0);
}

}  // namespace
}  // namespace grapevine::topology
