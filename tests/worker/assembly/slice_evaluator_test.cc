#include "worker/assembly/slice_evaluator.h"

#include <cmath>
#include <deque>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/worker/control/recording_parts.h"
#include "worker/assembly/job_state.h"
#include "worker/transport/in_process.h"

namespace grapevine::assembly {
namespace {

namespace proto = topology::v1;

constexpr Duration kLimit = 60s;

// Work that came from other threads, done on the test's.
class Inbox {
 public:
  void Post(const SliceEvaluator::Work& work) {
    MutexLock lock(mutex_);
    work_.push_back(work);
    changed_.NotifyAll();
  }
  void DoOne(control::Session& session) {
    SliceEvaluator::Work work;
    {
      MutexLock lock(mutex_);
      while (work_.empty()) changed_.Wait(mutex_);
      work = std::move(work_.front());
      work_.pop_front();
    }
    work(session);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::deque<SliceEvaluator::Work> work_ ABSL_GUARDED_BY(mutex_);
};

// A member with all its parts, on a network within the process, and its session with a hub that is
// the test.
class Member {
 public:
  Member(transport::Switch& network, uint64_t id, int seed)
      : transport(network, "member-" + std::to_string(id)) {
    proto::Assign assign;
    assign.set_job_uid("uid");
    assign.set_member(id);
    api::TrainingJobSpec spec;
    spec.training.model = api::Model::kMlp;
    spec.training.dataset.name = api::DatasetName::kDigits;
    spec.training.seed = seed;
    assign.set_spec_json(api::ToJson(spec).dump());
    const auto unfit = MakeJobParts(
        assign,
        {.transport = &transport, .clock = &clock, .on_worked_off = [] {}, .on_failure = {}}, *job);
    EXPECT_FALSE(unfit) << unfit->message;
    proto::Start start;
    start.set_from(proto::Start::FROM_SEED);
    EXPECT_TRUE(LoadStart(start, *job).ok());
    job->driver->SetIdentity(
        {.job_uid = "uid", .member = id, .layout_hash = job->model->layout().hash});
    // Others find it by its name from its first view on.
    job->driver->SetView({.epoch = 1, .side = gossip::Side::kPassive, .neighbours = {}});
    job->driver->Start();
    job->trainer->Start();
    session.OnConnected();
    proto::HubMessage message;
    *message.mutable_assign() = assign;
    session.OnMessage(message);
    session.OnBuilt("uid", {});
    sent.clear();
    slices = std::make_shared<SliceEvaluator>(
        id, job, [this](const SliceEvaluator::Work& work) { inbox.Post(work); });
  }
  ~Member() {
    job->driver->Stop(clock.Now() + kLimit);
    job->trainer->Stop();
  }

  // As the hub asks, through the session.
  void Ask(uint64_t id, uint64_t finalize, const Member& finalizer, uint64_t finalizer_id,
           int64_t first, int64_t end) {
    proto::HubMessage message;
    proto::EvaluateSlice& request = *message.mutable_evaluate_slice();
    request.set_id(id);
    request.set_finalize(finalize);
    request.mutable_finalizer()->set_member(finalizer_id);
    request.mutable_finalizer()->set_address(finalizer.transport.address());
    request.set_first_sample(first);
    request.set_end_sample(end);
    session.OnMessage(message);
    slices->Evaluate(request);
  }
  proto::SliceEvaluated Answer() {
    while (sent.empty()) inbox.DoOne(session);
    const proto::SliceEvaluated answer = sent.front().slice_evaluated();
    sent.pop_front();
    return answer;
  }

  RealClock clock;
  transport::InProcessTransport transport;
  std::shared_ptr<JobParts> job = std::make_shared<JobParts>();
  control::RecordingParts parts;
  std::deque<proto::WorkerMessage> sent;
  control::Session session{
      {}, parts, [this](const proto::WorkerMessage& message) { sent.push_back(message); }};
  Inbox inbox;
  std::shared_ptr<SliceEvaluator> slices;
};

TEST(SliceEvaluator, APeerEvaluatesTheFinalizersWeightsAndKeepsItsOwn) {
  transport::Switch network;
  Member finalizer(network, 1, 1);
  Member peer(network, 2, 2);
  std::vector<float> own(peer.job->store->elements());
  peer.job->store->Read(own);
  const int64_t samples = finalizer.job->dataset->size(dataset::Split::kTest);

  finalizer.Ask(1, 7, finalizer, 1, 0, samples);
  const proto::SliceEvaluated whole = finalizer.Answer();
  peer.Ask(2, 7, finalizer, 1, 0, 50);
  const proto::SliceEvaluated first = peer.Answer();
  peer.Ask(3, 7, finalizer, 1, 50, samples);  // from the copy that it has
  const proto::SliceEvaluated second = peer.Answer();
  for (const auto* answer : {&whole, &first, &second}) EXPECT_EQ(answer->error(), "");
  EXPECT_EQ(first.id(), 2u);
  EXPECT_EQ(first.correct() + second.correct(), whole.correct());
  EXPECT_NEAR(first.loss_sum() + second.loss_sum(), whole.loss_sum(), 1e-3);

  peer.Ask(4, 8, peer, 2, 0, samples);  // of its own weights, which are others
  EXPECT_GT(std::abs(peer.Answer().loss_sum() - whole.loss_sum()), 1e-3);
  std::vector<float> still(own.size());
  peer.job->store->Read(still);
  EXPECT_EQ(still, own);
}

TEST(SliceEvaluator, AFinalizerOutOfReachIsAnError) {
  transport::Switch network;
  Member peer(network, 2, 2);
  {
    Member gone(network, 1, 1);
    gone.job->driver->Stop(gone.clock.Now());
    peer.Ask(1, 7, gone, 1, 0, 50);
  }
  EXPECT_NE(peer.Answer().error(), "");
}

TEST(SliceEvaluator, ASliceOfOtherWeightsTakesThePlaceOfTheOneThatWaits) {
  transport::Switch network;
  Member peer(network, 3, 3);
  Member second(network, 2, 2);
  {
    Member gone(network, 1, 1);
    gone.job->driver->Stop(gone.clock.Now());
    peer.Ask(1, 7, gone, 1, 0, 50);
    peer.Ask(2, 8, second, 2, 0, 50);
  }
  const proto::SliceEvaluated answer = peer.Answer();
  EXPECT_EQ(answer.id(), 2u);
  EXPECT_EQ(answer.error(), "");
  second.Ask(9, 8, second, 2, 0, 50);
  EXPECT_EQ(answer.correct(), second.Answer().correct());
}

TEST(SliceEvaluator, ASliceThatIsNoneIsAnError) {
  transport::Switch network;
  Member member(network, 1, 1);
  member.Ask(1, 7, member, 1, 0, 1'000'000);
  EXPECT_NE(member.Answer().error(), "");
}

}  // namespace
}  // namespace grapevine::assembly
