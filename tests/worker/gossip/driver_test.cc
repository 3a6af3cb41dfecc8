#include "worker/gossip/driver.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "operator/base/log.h"
#include "tests/short_tests.h"
#include "tests/worker/gossip/member_threads.h"

namespace grapevine::gossip {
namespace {

using ::testing::HasSubstr;
using Members = std::vector<std::unique_ptr<MemberThread>>;

Members Make(transport::Switch& network, size_t count, const ChunkGrid& grid,
             const ExchangePolicy& policy = {}) {
  Members members;
  for (MemberId id = 1; id <= count; ++id) {
    members.push_back(std::make_unique<MemberThread>(network, id, grid, policy));
  }
  return members;
}

void Fill(MemberThread& member, uint64_t seed) {
  std::mt19937 random(static_cast<uint32_t>(seed));
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (uint32_t c = 0; c < member.store.chunks(); ++c) {
    std::vector<float> weights(member.store.ChunkElements(c)), momentum(weights.size());
    for (float& w : weights) w = uniform(random);
    for (float& m : momentum) m = uniform(random);
    member.store.LoadWeights(c, weights);
    member.store.LoadMomentum(c, momentum);
  }
}

std::vector<float> Momentum(const MemberThread& member) {
  std::vector<float> all;
  for (uint32_t c = 0; c < member.store.chunks(); ++c) {
    std::vector<float> chunk(member.store.ChunkElements(c));
    member.store.SnapshotMomentum(c, chunk);
    all.insert(all.end(), chunk.begin(), chunk.end());
  }
  return all;
}

void StartAll(Members& members) {
  for (auto& member : members) member->driver.Start();
}

void StopAll(Members& members) {
  for (auto& member : members) member->driver.Stop(RealNow() + 10s);
}

TEST(Driver, OneExchangeLeavesBothMembersWithTheAverageInEveryChunk) {
  transport::Switch network;
  const ChunkGrid grid{.elements = 20 * 1024 + 7, .chunk_elements = 1024};
  Members members = Make(network, 2, grid);
  Fill(*members[0], 1);
  Fill(*members[1], 2);
  const auto x = members[0]->Weights(), y = members[1]->Weights();
  StartAll(members);
  JoinCompletely(members, 1);
  members[0]->driver.NoteStep();
  ASSERT_TRUE(Eventually([&] {
    return members[0]->driver.counts().completed == 1 && members[1]->driver.counts().completed == 1;
  }));
  const auto a = members[0]->Weights(), b = members[1]->Weights();
  double distance_sq = 0, norm_sq = 0;
  for (size_t i = 0; i < grid.elements; ++i) {
    ASSERT_NEAR(a[i], (x[i] + y[i]) / 2, 1e-6) << i;
    ASSERT_NEAR(b[i], (x[i] + y[i]) / 2, 1e-6) << i;
    distance_sq += (x[i] - y[i]) * (x[i] - y[i]);
    norm_sq += x[i] * x[i];
  }
  const GossipCounts counts = members[0]->driver.counts();
  EXPECT_EQ(counts.begun.completed, 1);
  EXPECT_NEAR(counts.peer_distance, std::sqrt(distance_sq), 1e-3);
  EXPECT_NEAR(counts.weights_norm, std::sqrt(norm_sq), 1e-3);
  EXPECT_EQ(members[0]->store.mixes(), 1u);
  EXPECT_EQ(members[1]->driver.counts().begun.completed, 0);
  StopAll(members);
}

TEST(Driver, EveryEncodingMixesTowardsThePeerAndKeepsTheSum) {
  for (Encoding encoding : {Encoding::kBFloat16, Encoding::kInt8}) {
    transport::Switch network;
    const ChunkGrid grid{.elements = 9000, .chunk_elements = 5000};
    Members members = Make(network, 2, grid, {.per_step = 1, .encoding = encoding});
    Fill(*members[0], 1);
    Fill(*members[1], 2);
    const auto x = members[0]->Weights(), y = members[1]->Weights();
    StartAll(members);
    JoinCompletely(members, 1);
    members[0]->driver.NoteStep();
    ASSERT_TRUE(Eventually([&] {
      return members[0]->driver.counts().completed == 1 &&
             members[1]->driver.counts().completed == 1;
    }));
    const auto a = members[0]->Weights(), b = members[1]->Weights();
    for (size_t i = 0; i < grid.elements; ++i) {
      ASSERT_NEAR(a[i], (x[i] + y[i]) / 2, 0.02) << i;
      ASSERT_NEAR(a[i] + b[i], x[i] + y[i], 1e-6) << i;
    }
    StopAll(members);
  }
}

// The bar: 10,000 exchanges among 8 members, gradients at random times, the sum stays what the
// gradients make it.
TEST(Driver, TheSumOfAllModelsIsTheSumOfAllGradientsOverManyExchanges) {
  const int64_t kExchanges = ShortTests() ? 1'000 : 10'000;
  transport::Switch network;
  const ChunkGrid grid{.elements = 4 * 256 + 3, .chunk_elements = 256};
  Members members = Make(network, 8, grid);
  StartAll(members);
  JoinCompletely(members, 1);

  std::atomic<bool> stop = false;
  std::vector<std::vector<double>> applied(members.size(), std::vector<double>(grid.elements));
  std::vector<std::thread> trainers;
  for (size_t m = 0; m < members.size(); ++m) {
    trainers.emplace_back([&, m] {
      std::mt19937 random(static_cast<uint32_t>(m));
      std::uniform_real_distribution<float> gradient(-0.01f, 0.01f);
      std::vector<float> weights(grid.elements);
      while (!stop) {
        const uint64_t read_at = members[m]->store.Read(weights);
        members[m]->store.Apply(read_at, [&](size_t offset, std::span<float> w, std::span<float>) {
          for (size_t i = 0; i < w.size(); ++i) {
            const float before = w[i];
            w[i] += gradient(random);
            applied[m][offset + i] += static_cast<double>(w[i]) - static_cast<double>(before);
          }
        });
        members[m]->driver.NoteStep();
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 300));
      }
    });
  }
  const auto completed = [&] {
    int64_t total = 0;
    for (const auto& member : members) total += member->driver.counts().begun.completed;
    return total;
  };
  const bool enough = Eventually([&] { return completed() >= kExchanges; });
  stop = true;
  for (std::thread& trainer : trainers) trainer.join();
  StopAll(members);
  ASSERT_TRUE(enough) << completed();
  for (const auto& member : members) {
    EXPECT_EQ(member->driver.counts().torn, 0);
    EXPECT_EQ(member->driver.counts().rejected, 0);
  }
  std::vector<std::vector<float>> models;
  for (const auto& member : members) models.push_back(member->Weights());
  for (size_t i = 0; i < grid.elements; ++i) {
    double models_sum = 0, gradients_sum = 0;
    for (size_t m = 0; m < members.size(); ++m) {
      models_sum += static_cast<double>(models[m][i]);
      gradients_sum += applied[m][i];
    }
    ASSERT_NEAR(models_sum, gradients_sum, 1e-4 * std::max(1.0, std::abs(gradients_sum))) << i;
  }
}

TEST(Driver, AJoinerCopiesWeightsAndMomentumFromTheNextDonorThatServes) {
  transport::Switch network;
  const ChunkGrid grid{.elements = 10'000, .chunk_elements = 512};
  Members members = Make(network, 3, grid);
  Fill(*members[0], 1);
  StartAll(members);
  // A donor is a member of the roster: it has a name, by which it can be dialled, and a view.
  for (size_t i : {0, 1}) {
    members[i]->driver.SetView({.epoch = 1, .side = Side::kPassive, .neighbours = {}});
    ASSERT_TRUE(Eventually([&] { return members[i]->driver.counts().view_epoch == 1; }));
  }
  std::atomic<int> done = 0;
  absl::Status status;
  // The first is not there, the second is not who it is taken for.
  members[2]->driver.CopyState({{.member = 9, .address = "nowhere"},
                                {.member = 8, .address = members[1]->transport.address()},
                                members[0]->as_neighbour()},
                               members[2]->store, [&](absl::Status s) {
                                 status = s;
                                 ++done;
                               });
  ASSERT_TRUE(Eventually([&] { return done == 1; }));
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(members[2]->Weights(), members[0]->Weights());
  EXPECT_EQ(Momentum(*members[2]), Momentum(*members[0]));

  members[2]->driver.CopyState({{.member = 9, .address = "nowhere"}}, members[2]->store,
                               [&](absl::Status s) {
                                 status = s;
                                 ++done;
                               });
  ASSERT_TRUE(Eventually([&] { return done == 2; }));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  StopAll(members);
}

TEST(Driver, ACopyIntoAnotherStoreLeavesTheOwnOneAsItIs) {
  transport::Switch network;
  const ChunkGrid grid{.elements = 10'000, .chunk_elements = 512};
  Members members = Make(network, 2, grid);
  Fill(*members[0], 1);
  Fill(*members[1], 2);
  const auto own = members[1]->Weights();
  StartAll(members);
  members[0]->driver.SetView({.epoch = 1, .side = Side::kPassive, .neighbours = {}});
  ASSERT_TRUE(Eventually([&] { return members[0]->driver.counts().view_epoch == 1; }));
  store::ParameterStore copy(grid.elements, grid.chunk_elements);
  std::atomic<bool> done = false;
  members[1]->driver.CopyState({members[0]->as_neighbour()}, copy, [&](const absl::Status& s) {
    EXPECT_TRUE(s.ok()) << s;
    done = true;
  });
  ASSERT_TRUE(Eventually([&] { return done.load(); }));
  std::vector<float> copied(grid.elements);
  copy.Read(copied);
  EXPECT_EQ(copied, members[0]->Weights());
  EXPECT_EQ(members[1]->Weights(), own);
  StopAll(members);
}

TEST(Driver, AfterACopyTheStreamsToDonorsCloseExceptToNeighbours) {
  for (bool neighbour : {false, true}) {
    transport::Switch network;
    MemberThread member(network, 1, {.elements = 100, .chunk_elements = 10});
    member.driver.Start();
    transport::InProcessTransport donor(network, "donor");
    donor.SetIdentity({.job_uid = "job", .member = 2, .layout_hash = 1});
    const auto next = [&donor] {
      std::vector<transport::Event> events;
      const Time deadline = RealNow() + 60s;
      while (events.empty() && RealNow() < deadline) donor.Poll(deadline, events);
      return events.empty() ? transport::Event{} : events.front();
    };
    View view{.epoch = 1, .side = Side::kPassive, .neighbours = {}};
    if (neighbour) view.neighbours = {{.member = 2, .address = donor.address()}};
    member.driver.SetView(view);
    std::atomic<bool> done = false;
    member.driver.CopyState({{.member = 2, .address = donor.address()}}, member.store,
                            [&](const absl::Status&) { done = true; });
    const transport::Event asked = next();
    ASSERT_EQ(asked.frame.header.kind, Kind::kStateOpen);
    // No answer to that: it is given up.
    donor.Send(1, {.header = {.kind = Kind::kStateChunk, .exchange = asked.frame.header.exchange},
                   .payload = {}});
    ASSERT_EQ(next().frame.header.kind, Kind::kStateClose);
    ASSERT_TRUE(Eventually([&] { return done.load(); }));
    donor.Send(1, {.header = {.kind = Kind::kOffer, .exchange = {.active = 2, .counter = 2}},
                   .payload = {}});
    const transport::Event answer = next();
    EXPECT_EQ(answer.kind,
              neighbour ? transport::Event::Kind::kFrame : transport::Event::Kind::kPeerLost);
    member.driver.Stop(RealNow());
  }
}

TEST(Driver, StoppingEndsACopyUnderWay) {
  transport::Switch network;
  Members members = Make(network, 2, {.elements = 100, .chunk_elements = 10});
  members[0]->driver.Start();  // the donor's thread never runs
  std::atomic<bool> done = false;
  members[0]->driver.CopyState({members[1]->as_neighbour()}, members[0]->store,
                               [&](absl::Status s) {
                                 EXPECT_FALSE(s.ok());
                                 done = true;
                               });
  members[0]->driver.Stop(RealNow());
  EXPECT_TRUE(done);
}

TEST(Driver, AfterBeginNoMoreNoExchangeBeginsOnEitherSide) {
  for (const size_t leaver : {0, 1}) {
    transport::Switch network;
    Members members = Make(network, 2, {.elements = 5000, .chunk_elements = 512});
    for (auto& member : members) member->driver.SetBackToBack(true);
    StartAll(members);
    JoinCompletely(members, 1);
    Driver& driver = members[leaver]->driver;
    ASSERT_TRUE(Eventually([&] { return driver.counts().completed > 0; }));
    driver.BeginNoMore();
    driver.SetBackToBack(true);
    // In force once the exchange under way has ended.
    driver.SetView({.epoch = 2,
                    .side = leaver == 0 ? Side::kActive : Side::kPassive,
                    .neighbours = {members[1 - leaver]->as_neighbour()}});
    ASSERT_TRUE(Eventually([&] { return driver.counts().view_epoch == 2; }));
    const int64_t completed = driver.counts().completed;
    if (leaver == 1) {
      const int64_t refused = members[0]->driver.counts().begun.refused;
      EXPECT_TRUE(Eventually([&] { return members[0]->driver.counts().begun.refused > refused; }));
    } else {
      std::this_thread::sleep_for(20ms);
    }
    EXPECT_EQ(driver.counts().completed, completed);
    StopAll(members);
  }
}

TEST(Driver, SaysWhyAPeerIsLostOrRejectedButNotEachTime) {
  ::testing::internal::CaptureStderr();
  ASSERT_TRUE(StartLog({}).ok());
  {
    transport::Switch network;
    MemberThread member(network, 1, {.elements = 100, .chunk_elements = 10});
    member.driver.Start();
    member.driver.SetBackToBack(true);
    member.driver.SetView(
        {.epoch = 1, .side = Side::kActive, .neighbours = {{.member = 2, .address = "nowhere"}}});
    ASSERT_TRUE(Eventually([&] { return member.driver.counts().begun.timed_out >= 2; }));
    transport::InProcessTransport stranger(network, "stranger");
    stranger.SetIdentity({.job_uid = "theirs", .member = 3, .layout_hash = 1});
    stranger.SetAddress(1, member.transport.address());
    for (int i = 0; i < 2; ++i) stranger.Send(1, {.header = {.kind = Kind::kOffer}, .payload = {}});
    EXPECT_TRUE(Eventually([&] { return member.driver.counts().rejected == 2; }));
  }
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 2) << log;
  EXPECT_THAT(log, HasSubstr("member 2 is out of reach: nobody is at the peer's address"));
  EXPECT_THAT(log, HasSubstr("member 3 is rejected: a hello of another job"));
}

TEST(Driver, AMemberThatDiesInTheMiddleHoldsNobodyUp) {
  transport::Switch network;
  Members members = Make(network, 4, {.elements = 1 << 20, .chunk_elements = 1 << 14});
  for (auto& member : members) member->driver.SetBackToBack(true);
  StartAll(members);
  JoinCompletely(members, 1);
  ASSERT_TRUE(Eventually([&] { return members[0]->driver.counts().completed > 0; }));
  members[3].reset();
  const int64_t before = members[0]->driver.counts().completed;
  EXPECT_TRUE(Eventually([&] { return members[0]->driver.counts().completed > before + 5; }));
  members.pop_back();
  StopAll(members);
}

TEST(Driver, OnceIdleIsToldTheStoreStaysAsItIsButItsStateIsServed) {
  transport::Switch network;
  Members members = Make(network, 3, {.elements = 100'000, .chunk_elements = 512});
  Fill(*members[0], 1);
  StartAll(members);
  members.back()->driver.SetView({.epoch = 1, .side = Side::kPassive, .neighbours = {}});
  Members pair;
  for (int i = 0; i < 2; ++i) {
    pair.push_back(std::move(members.front()));
    members.erase(members.begin());
  }
  JoinCompletely(pair, 1);
  for (auto& member : pair) member->driver.Finish();
  ASSERT_TRUE(Eventually([&] { return pair[1]->driver.counts().completed > 3; }));
  std::atomic<bool> idle = false;
  pair[1]->driver.Idle([&] { idle = true; });
  ASSERT_TRUE(Eventually([&] { return idle.load(); }));
  const auto weights = pair[1]->Weights();
  const int64_t completed = pair[1]->driver.counts().completed;
  // It answers the offers that go on coming.
  const int64_t refused = pair[0]->driver.counts().begun.refused;
  ASSERT_TRUE(Eventually([&] { return pair[0]->driver.counts().begun.refused > refused + 1; }));
  std::atomic<bool> copied = false;
  members[0]->driver.CopyState({pair[1]->as_neighbour()}, members[0]->store,
                               [&](const absl::Status& s) {
                                 EXPECT_TRUE(s.ok()) << s;
                                 copied = true;
                               });
  ASSERT_TRUE(Eventually([&] { return copied.load(); }));
  EXPECT_EQ(members[0]->Weights(), weights);
  EXPECT_EQ(pair[1]->Weights(), weights);
  EXPECT_EQ(pair[1]->driver.counts().completed, completed);
  StopAll(pair);
  StopAll(members);
}

TEST(Driver, AfterFinishBothSettleAndANewIdentityBeginsAnew) {
  transport::Switch network;
  Members members = Make(network, 2, {.elements = 5000, .chunk_elements = 512},
                         {.per_step = 0, .encoding = Encoding::kInt8});
  Fill(*members[0], 1);
  StartAll(members);
  JoinCompletely(members, 5);
  for (auto& member : members) member->driver.Finish();
  EXPECT_TRUE(Eventually(
      [&] { return members[0]->driver.counts().settled && members[1]->driver.counts().settled; }));
  EXPECT_EQ(members[0]->driver.counts().view_epoch, 5u);
  members[0]->driver.SetIdentity({.job_uid = "job", .member = 11, .layout_hash = 1});
  EXPECT_TRUE(Eventually([&] {
    const GossipCounts counts = members[0]->driver.counts();
    return !counts.settled && counts.view_epoch == 0;
  }));
  StopAll(members);
}

}  // namespace
}  // namespace grapevine::gossip
