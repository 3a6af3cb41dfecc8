#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "operator/graph/invariants.h"
#include "operator/topology/hub.h"
#include "operator/training_job/decide.h"
#include "operator/training_job/learning.h"
#include "operator/training_job/worker_pod.h"

namespace grapevine::training_job {

namespace proto = topology::v1;

class ManualClock final : public Clock {
 public:
  Time Now() const override { return now_; }
  void Advance(Duration by) { now_ += by; }

 private:
  Time now_ = Time(1000s);
};

// A worker that follows the protocol and can be told to misbehave. What it is sent waits in `inbox`
// until Work, so that a paused one answers nothing.
class FakeWorker final : public topology::Sink {
 public:
  explicit FakeWorker(std::string pod) : pod_(std::move(pod)) {}

  bool Send(const topology::HubMessage& message) override {
    inbox.push_back(message);
    return true;
  }
  void Close() override { closed = true; }

  const std::string pod_;
  std::deque<topology::HubMessage> inbox;
  bool closed = false;

  topology::SessionId session = 0;
  MemberId member = 0;
  std::string job_uid;
  bool holds_state = false;
  bool admitted = false;
  bool paused = false;  // neither reads nor speaks
  bool answers_recall = true;
  bool trains = true;
  bool settles = true;  // after Finish
  bool finishing = false;
  bool stopped = false;
  bool refused = false;
  uint64_t layout_hash = 7;
  double loss = 0.1;
  double rate = 640;  // samples per second: two batches each 100 ms
  proto::View view;
  std::vector<proto::Start> starts;
  std::vector<uint64_t> recalls;
  std::vector<proto::Finalize> finalizes;
  bool answers_finalize = true;
  bool idle = false;
  std::vector<proto::EvaluateSlice> slices;
  bool answers_slices = true;
  std::string slice_error;
  int evaluations = 0;
  std::string evaluation_error;  // instead of a result
  std::vector<proto::WriteCheckpoint> checkpoints;
  struct Held {
    int64_t batches = 0;
    int64_t done = 0;
  };
  std::map<uint64_t, Held> leases;
  int64_t batches_trained = 0;
};

// One job, its hub, its pods and its workers, over a clock that stands still between steps of 20
// ms. The decisions are those of production; only the API server is left out.
class JobRig {
 public:
  static constexpr int64_t kSamples = 320;  // ten batches a data epoch
  static constexpr int64_t kTestSamples = 10'000;

  explicit JobRig(int replicas, int epochs = 2) : hub(clock, [this](auto&) { due_ = true; }) {
    job.metadata.name = "digits";
    job.metadata.uid = "uid-1";
    job.metadata.generation = 1;
    job.spec.workers.replicas = replicas;
    job.spec.workers.max_replicas = 64;
    job.spec.training.epochs = epochs;
    job.spec.training.batch_size = 32;
    Reconcile();
  }

  topology::JobKey key() const { return {job.metadata.name_space, job.metadata.name}; }
  topology::JobStats Stats() const { return hub.Stats(key()); }

  Observed Observe() {
    hub.EnsureJob(key(), {.uid = job.metadata.uid,
                          .spec_json = "{}",
                          .batch_size = job.spec.training.batch_size,
                          .data_epochs = job.spec.training.epochs,
                          .guessing_loss = GuessingLoss(job.spec.training)});
    Observed observed{.job = job, .hub = hub.Observe(key()), .now = clock.Now(), .wall = wall};
    for (auto& [name, pod] : pods) observed.pods.push_back(pod);
    return observed;
  }

  void Reconcile() {
    due_ = false;
    last = Decide(Observe());
    if (last.directives.publish) {
      const auto degree = static_cast<size_t>(job.spec.graph.degree);
      const auto violations = graph::Violations(last.directives.publish->graph,
                                                {.max_degree = last.repair_graph ? degree : 0});
      for (const std::string& text : violations) problems.push_back(text);
    }
    const uint64_t before = hub.Observe(key()).epoch;
    const uint64_t epoch = hub.Apply(key(), last.directives);
    hub.Record(key());
    if (hub.NoteRecorded(key())) due_ = true;
    if (epoch != before + (last.directives.publish ? 1 : 0)) problems.push_back("epoch jumped");
    for (const PodToDelete& pod : last.remove) DeletePod(pod.name);
    for (const PodToCreate& pod : last.create) {
      const std::string name = PodName(job.metadata.name, pod);
      if (pods.contains(name)) problems.push_back("a second pod " + name);
      pods[name] = {.name = name,
                    .uid = "uid-of-" + name,
                    .slot = pod.slot,
                    .incarnation = pod.incarnation,
                    .state = WorkerPod::State::kRunning};
      if (starts_workers) StartWorker(name);
    }
    job.status = last.status;
    for (const JobEvent& event : last.events) events.push_back(event.reason);
    again_ = last.requeue_after ? clock.Now() + *last.requeue_after : Time::max();
  }

  FakeWorker& StartWorker(const std::string& pod) {
    auto worker = std::make_shared<FakeWorker>(pod);
    workers.push_back(worker);
    Connect(*worker);
    return *worker;
  }

  void Connect(FakeWorker& worker) {
    for (auto& shared : workers) {
      if (shared.get() != &worker) continue;
      worker.closed = false;
      worker.inbox.clear();
      worker.session = hub.Connect(shared);
    }
    proto::WorkerMessage message;
    auto& registration = *message.mutable_register_();
    registration.set_namespace_(job.metadata.name_space);
    registration.set_job(job.metadata.name);
    registration.set_pod(worker.pod_);
    registration.set_pod_uid("uid-of-" + worker.pod_);
    registration.set_address(worker.pod_ + ":1");
    registration.set_member(worker.member);
    registration.set_job_uid(worker.job_uid);
    registration.set_holds_state(worker.holds_state);
    for (auto& [id, held] : worker.leases) {
      auto& lease = *registration.add_leases();
      lease.set_lease(id);
      lease.set_batches_done(held.done);
      lease.set_finished(held.done == held.batches);
    }
    hub.OnMessage(worker.session, message);
  }

  void Disconnect(FakeWorker& worker) {
    hub.OnDisconnect(worker.session);
    worker.session = 0;
  }

  // kill -9: the stream breaks and the pod has failed.
  void Kill(FakeWorker& worker) {
    pods[worker.pod_].state = WorkerPod::State::kFailed;
    due_ = true;
    Disconnect(worker);
    worker.paused = true;
  }

  void DeletePod(const std::string& name) {
    auto pod = pods.find(name);
    if (pod == pods.end()) return;
    pod->second.state = WorkerPod::State::kTerminating;
    due_ = true;
  }

  void Report(FakeWorker& worker) {
    proto::WorkerMessage message;
    auto& report = *message.mutable_report();
    report.set_steps(worker.batches_trained);
    report.set_samples(worker.batches_trained * 32);
    report.set_loss(worker.loss);
    report.set_samples_per_second(worker.rate);
    report.set_settled(worker.finishing && worker.settles);
    report.set_view_epoch(worker.view.epoch());
    report.mutable_exchanges()->set_completed(worker.batches_trained);
    for (auto& [id, held] : worker.leases) {
      auto& lease = *report.add_leases();
      lease.set_lease(id);
      lease.set_batches_done(held.done);
    }
    std::erase_if(worker.leases, [](auto& l) { return l.second.done >= l.second.batches; });
    hub.OnMessage(worker.session, message);
  }

  void Run(Duration time) {
    const Time end = clock.Now() + time;
    while (clock.Now() < end) Step();
  }
  template <typename Condition>
  bool RunUntil(Duration limit, Condition condition) {
    const Time end = clock.Now() + limit;
    while (clock.Now() < end && !condition()) Step();
    return condition();
  }

  std::vector<FakeWorker*> Members() {
    std::vector<FakeWorker*> members;
    const topology::Snapshot snapshot = hub.Observe(key());
    for (auto& view : snapshot.registrants) {
      if (!view.rules.member) continue;
      for (auto& worker : workers) {
        if (worker->member == view.rules.id) members.push_back(worker.get());
      }
    }
    return members;
  }

  void Step();
  void Work(FakeWorker& worker);
  void Handle(FakeWorker& worker, const topology::HubMessage& message);

  ManualClock clock;
  api::WallTime wall = api::WallTime(std::chrono::seconds(1'700'000'000));
  api::TrainingJob job;
  topology::Hub hub;
  std::map<std::string, WorkerPod> pods;
  std::vector<std::shared_ptr<FakeWorker>> workers;
  bool starts_workers = true;
  double evaluation_seconds = 0;  // what a finalizer says
  Decision last;
  std::vector<std::string> events;
  std::vector<std::string> problems;  // rules that were broken on the way

 private:
  bool due_ = false;
  Time again_ = Time::max();
  int steps_ = 0;
};

inline void JobRig::Handle(FakeWorker& worker, const topology::HubMessage& message) {
  proto::WorkerMessage answer;
  switch (message.kind_case()) {
    case topology::HubMessage::kAssign:
      if (worker.member != message.assign().member()) worker.leases.clear();
      if (worker.member == message.assign().member()) return;
      worker.admitted = false;
      worker.member = message.assign().member();
      worker.job_uid = message.assign().job_uid();
      answer.mutable_built()->set_layout_hash(worker.layout_hash);
      answer.mutable_built()->set_samples(kSamples);
      break;
    case topology::HubMessage::kStart:
      worker.starts.push_back(message.start());
      worker.holds_state &= message.start().from() == proto::Start::FROM_HELD;
      answer.mutable_ready()->set_from(message.start().from());
      break;
    case topology::HubMessage::kView:
      worker.view = message.view();
      worker.admitted = worker.holds_state = true;
      return;
    case topology::HubMessage::kLease: {
      auto& held = worker.leases[message.lease().lease()];
      if (held.batches > 0) return;
      for (auto& range : message.lease().ranges()) {
        held.batches += range.end_batch() - range.first_batch();
      }
      return;
    }
    case topology::HubMessage::kRecall: {
      worker.recalls.push_back(message.recall().lease());
      if (!worker.answers_recall) return;
      auto& held = worker.leases[message.recall().lease()];
      held.batches = held.done;
      answer.mutable_lease_return()->set_lease(message.recall().lease());
      answer.mutable_lease_return()->set_first_unused(held.done);
      answer.mutable_lease_return()->set_batches_done(held.done);
      break;
    }
    case topology::HubMessage::kEvaluate:
      ++worker.evaluations;
      answer.mutable_evaluated()->set_id(message.evaluate().id());
      answer.mutable_evaluated()->set_accuracy(0.5);
      answer.mutable_evaluated()->set_error(worker.evaluation_error);
      break;
    case topology::HubMessage::kWriteCheckpoint:
      worker.checkpoints.push_back(message.write_checkpoint());
      answer.mutable_checkpoint_written()->set_id(message.write_checkpoint().id());
      answer.mutable_checkpoint_written()->set_path(message.write_checkpoint().path());
      break;
    case topology::HubMessage::kFinish:
      worker.finishing = true;
      return;
    case topology::HubMessage::kIdle:
      worker.idle = true;
      return;
    case topology::HubMessage::kFinalize:
      worker.finalizes.push_back(message.finalize());
      if (!worker.answers_finalize) return;
      answer.mutable_finalized()->set_id(message.finalize().id());
      answer.mutable_finalized()->set_checkpoint_path(message.finalize().checkpoint_path());
      answer.mutable_finalized()->set_test_samples(kTestSamples);
      answer.mutable_finalized()->set_evaluation_seconds(evaluation_seconds);
      break;
    case topology::HubMessage::kEvaluateSlice: {
      worker.slices.push_back(message.evaluate_slice());
      if (!worker.answers_slices) return;
      const auto& slice = message.evaluate_slice();
      answer.mutable_slice_evaluated()->set_id(slice.id());
      // All but three of a hundred.
      for (int64_t i = slice.first_sample(); i < slice.end_sample(); ++i) {
        answer.mutable_slice_evaluated()->set_correct(answer.slice_evaluated().correct() +
                                                      (i % 100 < 97 ? 1 : 0));
      }
      answer.mutable_slice_evaluated()->set_error(worker.slice_error);
      break;
    }
    case topology::HubMessage::kRefused:
      worker.refused = true;
      return;
    case topology::HubMessage::kStop:
      worker.stopped = true;
      return;
    default:
      return;
  }
  hub.OnMessage(worker.session, answer);
}

inline void JobRig::Work(FakeWorker& worker) {
  if (worker.paused) return;
  if (worker.closed && worker.session != 0) {
    Disconnect(worker);
    if (!worker.stopped && !worker.refused) Connect(worker);
  }
  if (worker.session == 0) return;
  while (!worker.inbox.empty()) {
    const topology::HubMessage message = worker.inbox.front();
    worker.inbox.pop_front();
    Handle(worker, message);
  }
  if (worker.stopped) {
    pods[worker.pod_].state = WorkerPod::State::kSucceeded;
    return Disconnect(worker);
  }
  // A batch every 32 / rate seconds, at one step of 20 ms each at most.
  const int every = std::max(1, static_cast<int>(32 / worker.rate / 0.02 + 0.5));
  if (worker.trains && worker.admitted && !worker.finishing && steps_ % every == 0) {
    for (auto& [id, held] : worker.leases) {
      if (held.done >= held.batches) continue;
      ++held.done;
      ++worker.batches_trained;
      break;
    }
  }
  const bool idle = std::ranges::all_of(
      worker.leases, [](auto& lease) { return lease.second.done >= lease.second.batches; });
  if (steps_ % 50 == 0 || (idle && steps_ % 5 == 0)) Report(worker);
}

inline void JobRig::Step() {
  clock.Advance(20ms);
  wall += std::chrono::milliseconds(20);
  ++steps_;
  for (size_t i = 0; i < workers.size(); ++i) Work(*workers[i]);
  if (steps_ % 5 == 0) hub.Tick();
  for (int round = 0; round < 10 && (due_ || clock.Now() >= again_); ++round) Reconcile();
  // A kubelet: who is being deleted goes in order.
  for (auto& [name, pod] : pods) {
    if (pod.state != WorkerPod::State::kTerminating) continue;
    for (auto& worker : workers) {
      if (worker->pod_ == name && worker->session != 0) Disconnect(*worker);
      if (worker->pod_ == name) worker->paused = true;
    }
  }
  const size_t before = pods.size();
  std::erase_if(pods, [](auto& p) { return p.second.state == WorkerPod::State::kTerminating; });
  if (pods.size() != before) due_ = true;
}

}  // namespace grapevine::training_job
