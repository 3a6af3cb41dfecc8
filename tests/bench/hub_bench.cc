// How long views take: 1,000 simulated members in one job, and again and again one leaves or one
// joins. Timed from the hub being told (the pod's end, the end of the batching window) to the last
// view handed to its stream, through observe, decide, plan and publish. Bar: p99 <= 50 ms.

#include <algorithm>
#include <cstdio>

#include "operator/base/check.h"
#include "operator/base/log.h"
#include "operator/topology/hub.h"
#include "operator/training_job/decide.h"

namespace grapevine::training_job {
namespace {

namespace proto = topology::v1;

constexpr int kMembers = 1000;
constexpr int kRounds = 200;

class CountingSink final : public topology::Sink {
 public:
  bool Send(const topology::HubMessage& message) override {
    bytes += message.ByteSizeLong();  // as a stream would serialise it
    if (message.kind_case() == topology::HubMessage::kAssign) member = message.assign().member();
    if (message.kind_case() == topology::HubMessage::kView) ++views;
    return true;
  }
  void Close() override {}
  MemberId member = 0;
  size_t bytes = 0;
  int views = 0;
};

// Time that a test moves on by itself: to let the batching window pass at no cost.
class SkippingClock final : public Clock {
 public:
  Time Now() const override { return real_.Now() + skipped; }
  Duration skipped{};

 private:
  RealClock real_;
};

class Bench {
 public:
  Bench() : hub_(clock_, [](const topology::JobKey&) {}) {
    job_.metadata.name = "bench";
    job_.metadata.uid = "u";
    job_.spec.workers.replicas = kMembers;
    job_.spec.training.epochs = 1'000'000;
  }

  void Decide() {
    Observed observed{.job = job_, .hub = hub_.Observe(key_), .now = clock_.Now()};
    for (const auto& [name, pod] : pods_) observed.pods.push_back(pod);
    const Decision decision = training_job::Decide(observed);
    hub_.Apply(key_, decision.directives);
  }

  void Join(int slot) {
    const std::string name = "bench-" + std::to_string(slot) + "-0";
    pods_[name] = {.name = name, .slot = slot, .state = WorkerPod::State::kRunning};
    auto sink = std::make_shared<CountingSink>();
    const topology::SessionId session = hub_.Connect(sink);
    Say(session, [&](proto::WorkerMessage& message) {
      message.mutable_register_()->set_namespace_(key_.name_space);
      message.mutable_register_()->set_job(key_.name);
      message.mutable_register_()->set_pod(name);
      message.mutable_register_()->set_address("10.0.0.1:1234");
    });
    Say(session,
        [&](proto::WorkerMessage& message) { message.mutable_built()->set_samples(60'000); });
    pending_.push_back(session);
    names_[session] = name;
  }

  // Assigns whoever waits, has them say ready, and lets the window pass.
  void MakeReady() {
    Decide();
    const topology::Snapshot snapshot = hub_.Observe(key_);
    std::map<std::string, membership::Role> roles;
    for (const auto& view : snapshot.registrants) roles[view.rules.pod] = view.rules.assigned;
    for (topology::SessionId session : pending_) {
      Say(session, [&](proto::WorkerMessage& message) {
        message.mutable_ready()->set_from(roles[names_[session]] == membership::Role::kSeed
                                              ? proto::Start::FROM_SEED
                                              : proto::Start::FROM_COPY);
      });
    }
    pending_.clear();
    clock_.skipped += 101ms;
  }

  double Timed() {
    const Time before = clock_.Now();
    Decide();
    return 1e3 * ToSeconds(clock_.Now() - before);
  }

  void Leave(int slot) {
    pods_["bench-" + std::to_string(slot) + "-0"].state = WorkerPod::State::kFailed;
  }

  void Forget(int slot) {
    const std::string name = "bench-" + std::to_string(slot) + "-0";
    for (auto& [session, pod] : names_) {
      if (pod == name) hub_.OnDisconnect(session);
    }
    pods_.erase(name);
  }

  void EnsureJob() {
    hub_.EnsureJob(key_, {.uid = "u", .batch_size = 32, .data_epochs = 1'000'000});
  }
  size_t members() { return hub_.Observe(key_).graph->size(); }

  // Everybody's report of one second, so that nobody is late and the reports' cost is known.
  double ReportAll() {
    const Time before = clock_.Now();
    for (const auto& [session, name] : names_) {
      Say(session, [&](proto::WorkerMessage& message) {
        message.mutable_report()->set_samples_per_second(500);
      });
    }
    return 1e6 * ToSeconds(clock_.Now() - before) / static_cast<double>(names_.size());
  }

 private:
  template <typename Fill>
  void Say(topology::SessionId session, Fill fill) {
    proto::WorkerMessage message;
    fill(message);
    hub_.OnMessage(session, message);
  }

  const topology::JobKey key_{"default", "bench"};
  SkippingClock clock_;
  topology::Hub hub_;
  api::TrainingJob job_;
  std::map<std::string, WorkerPod> pods_;
  std::map<topology::SessionId, std::string> names_;
  std::vector<topology::SessionId> pending_;
};

double Quantile(std::vector<double> values, double q) {
  std::ranges::sort(values);
  return values[static_cast<size_t>(q * static_cast<double>(values.size() - 1))];
}

int Main() {
  GRAPEVINE_CHECK(StartLog({.level = "off"}).ok());
  Bench bench;
  bench.EnsureJob();
  for (int slot = 0; slot < kMembers; ++slot) bench.Join(slot);
  bench.MakeReady();
  std::printf("%zu members join at once: %.1f ms\n", size_t{kMembers}, bench.Timed());
  std::vector<double> leaves, joins, reports;
  for (int round = 0; round < kRounds; ++round) {
    reports.push_back(bench.ReportAll());
    bench.Leave(round);
    leaves.push_back(bench.Timed());
    bench.Forget(round);
    bench.Join(kMembers + round);
    bench.MakeReady();
    joins.push_back(bench.Timed());
  }
  std::printf("members at the end: %zu\n", bench.members());
  std::printf("leave to last view: p50 %.2f ms, p99 %.2f ms, max %.2f ms\n", Quantile(leaves, 0.5),
              Quantile(leaves, 0.99), Quantile(leaves, 1));
  std::printf("join to last view:  p50 %.2f ms, p99 %.2f ms, max %.2f ms\n", Quantile(joins, 0.5),
              Quantile(joins, 0.99), Quantile(joins, 1));
  std::printf("report: %.1f us each\n", Quantile(reports, 0.5));
  const bool kept =
      Quantile(leaves, 0.99) <= 50 && Quantile(joins, 0.99) <= 50 && bench.members() == kMembers;
  std::printf("bar p99 <= 50 ms: %s\n", kept ? "kept" : "MISSED");
  return kept ? 0 : 1;
}

}  // namespace
}  // namespace grapevine::training_job

int main() { return grapevine::training_job::Main(); }
