#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "operator/base/clock.h"
#include "operator/local/api_server.h"
#include "operator/topology/hub.h"
#include "operator/training_job/training_job_reconciler.h"
#include "tests/operator/controller/forwarding_client.h"
#include "worker/control/session.h"

namespace grapevine::simulation {

class StandingClock final : public Clock {
 public:
  Time Now() const override { return now; }
  Time now = Time(1000s);
};

// The API server, but for writes of the CommunicationGraph while they fail: the leader then dies
// with what it has published unwritten.
class FailingClient final : public controller::ForwardingClient {
 public:
  using ForwardingClient::ForwardingClient;
  Answer UpdateStatus(const controller::Resource& resource, const nlohmann::json& object) override;

  bool graphs_fail = false;
};

// Where a data epoch's batch lies.
using Batch = std::pair<int64_t, int64_t>;

// What the production session moves here: leases are worked off one batch a step, the rest is
// answered at once, in the next step. Lives on the test's thread, as all here.
class WorkerParts final : public control::Parts {
 public:
  explicit WorkerParts(std::map<Batch, int>* trained) : trained_(trained) {}

  void Build(const control::proto::Assign& assign) override;
  void BecomeMember(uint64_t member) override;
  void Begin(const control::proto::Start& start) override;
  void SetSpec(const std::string&) override {}
  void SetView(const gossip::View& view) override;
  void SetProgress(const control::proto::Progress&) override {}
  void Train() override { training = true; }
  void Finish() override;
  void Idle() override { idle = true; }
  void Evaluate(uint64_t id) override;
  void WriteCheckpoint(const control::proto::WriteCheckpoint&) override {}
  void Finalize(const control::proto::Finalize& request) override;
  void EvaluateSlice(const control::proto::EvaluateSlice& request) override;
  void FillReport(control::proto::Report& report) override;
  void Stop(const std::string& reason, bool refused) override;
  train::LeaseQueue* leases() override { return queue.get(); }
  bool settled() const override { return finishing; }

  // Ends the batch under way and begins the next; answers what was asked since the last step.
  void Step(control::Session& session);

  std::unique_ptr<train::LeaseQueue> queue;
  bool training = false;
  bool finishing = false;
  bool idle = false;
  bool stopped = false;
  std::vector<uint64_t> ids;  // that it was given
  int starts = 0;
  std::vector<uint64_t> epochs;  // of the views that it was shown, each once

 private:
  std::map<Batch, int>* const trained_;  // under a lease, by anyone
  std::vector<std::function<void(control::Session&)>> answers_;
  std::optional<train::Draw> under_way_;
  int64_t steps_ = 0;
};

// One end of a stream.
class WorkerSink final : public topology::Sink {
 public:
  bool Send(const topology::HubMessage& message) override {
    inbox.push_back(message);
    return true;
  }
  void Close() override { closed = true; }

  std::deque<topology::HubMessage> inbox;
  bool closed = false;
};

struct Worker {
  Worker(const std::string& pod, const std::string& pod_uid, std::map<Batch, int>* trained);

  WorkerParts parts;
  std::deque<topology::WorkerMessage> outbox;
  control::Session session;
  std::shared_ptr<WorkerSink> sink;  // null while there is no stream
  topology::SessionId stream = 0;
  bool alive = true;
};

struct WorldOptions {
  uint32_t seed = 1;
  int workers = 4;
  int data_epochs = 3;
  double graph_failures = 0;  // share of the leaders that die with a graph published and unwritten
  int deaths = 0;             // of workers
};

// A job whose leader dies again and again: the production hub, reconciler, API server and workers'
// sessions, over a clock that stands still between steps of 20 ms. Each new leader finds nothing
// but what is on the server and what the workers tell it.
class TakeoverWorld {
 public:
  static constexpr int64_t kSamples = 1600;  // fifty batches a data epoch
  static constexpr int64_t kBatch = 32;

  explicit TakeoverWorld(const WorldOptions& options);
  ~TakeoverWorld();

  void Step();
  bool Over() const;
  void Run(Duration time);
  template <typename Condition>
  bool RunUntil(Duration limit, Condition condition) {
    const Time end = clock.now + limit;
    while (clock.now < end && !condition()) Step();
    return condition();
  }

  void KillLeader();
  void StartLeader();
  void KillWorker(Worker& worker);

  topology::Snapshot Observe() { return hub->Observe(key_); }
  nlohmann::json Status(const controller::Resource& resource) const;
  size_t pods() const { return workers.size(); }
  int64_t trainers() const;

  StandingClock clock;
  std::mt19937 random;
  std::unique_ptr<topology::Hub> hub;                      // null while there is no leader
  std::map<std::string, std::unique_ptr<Worker>> workers;  // by pod, dead ones too
  std::map<Batch, int> trained;
  std::vector<std::string> problems;
  int leaders = 0;

 private:
  void Reconcile();
  void Refresh();
  void RunPods();
  void Serve(Worker& worker);
  void NoteGraph();
  void CheckView(const Worker& worker);
  void ActAtRandom();

  const WorldOptions options_;
  const topology::JobKey key_{"default", "digits"};
  local::ApiServer server_;
  FailingClient client_{server_};
  controller::ObjectStore jobs_, pods_, graphs_;
  std::unique_ptr<training_job::TrainingJobReconciler> reconciler_;
  bool due_ = false;
  Time again_{};
  Time leader_at_{};
  int deaths_left_;
  std::map<uint64_t, std::string> published_;                       // by this leader, by epoch
  std::map<uint64_t, std::map<const Worker*, std::string>> shown_;  // by epoch: its graph
};

}  // namespace grapevine::simulation
